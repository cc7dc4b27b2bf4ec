import Synchronization
import TensorModule

/// Batches of a store's samples: shuffled anew every epoch, augmented, read ahead by threads where that pays.
///
/// The order depends on the seed and the epoch, what augmentation does on those and the sample: neither on threads nor on
/// where training began.
public final class DataSource: BatchSource {
  public struct Settings: Sendable {
    public var batchSize = 32
    /// Whether each epoch has an order of its own.
    public var isShuffled = true
    public var seed: UInt64 = 0
    public var augmentation: Augmentation?
    /// Whether each sample weighs as if all classes had as many.
    public var hasBalancedClasses = false
    /// Whether a picture that cannot be read is an error; else it is left out and counted.
    public var isStrict = false
    /// Threads that read pictures ahead.
    public var threads = 2

    public init() {}
  }

  public let store: SampleStore
  /// Which samples of the store are used, before they are shuffled.
  public let samples: [Int]
  public let settings: Settings
  private let classWeights: [Float]?
  private let skips = Mutex<Skips>(Skips())
  private let turn = Mutex<Turn>(Turn())
  private let prefetcher: BatchPrefetcher?

  private struct Skips {
    var samples: Set<Int> = []
    var errors: [KilnError] = []
  }

  /// Where the epoch is.
  private struct Turn {
    var order: [Int] = []
    var epoch = 0
    var next = 0
  }

  /// - Parameter samples: which samples of the store; nil takes all.
  /// - Throws: `KilnError` when the settings do not go with the data.
  public init(_ store: SampleStore, samples: [Int]? = nil, settings: Settings = Settings()) throws {
    guard settings.batchSize > 0 else { throw KilnError(.usage, "--batch-size must be 1 or more, found \(settings.batchSize)") }
    self.store = store
    self.samples = samples ?? Array(0..<store.count)
    var settings = settings
    // More than all is all.
    settings.batchSize = min(settings.batchSize, max(1, self.samples.count))
    self.settings = settings
    guard !self.samples.isEmpty else { throw KilnError(.badInput, "no samples are left", at: [store.path]) }
    if let augmentation = settings.augmentation {
      if augmentation.moves, let target = store.targets.first(where: \.hasPlaces)?.target {
        throw KilnError(
          .usage, "--augment moves pictures, but not the targets of the output \(KilnError.quoted(target.name)), which has values for places in them",
          hint: "brightness and contrast move nothing")
      }
      guard store.inputs.contains(where: { SampleStore.pictureLayout($0.rowShape) != nil }) else {
        throw KilnError(.usage, "--augment is for pictures; the model's inputs take none")
      }
    }
    classWeights = settings.hasBalancedClasses ? try store.balancedWeights(self.samples) : nil
    let isSlow = store.isSlow || settings.augmentation != nil
    prefetcher = isSlow && settings.threads > 0 ? try BatchPrefetcher(threads: settings.threads) : nil
  }

  public var sampleCount: Int? { samples.count }
  public var batchSize: Int { settings.batchSize }
  public var classNames: [String]? { store.classNames }
  public var skippedCount: Int { skips.withLock { $0.samples.count } }
  /// Why samples were left out: the first of these.
  public var skippedErrors: [KilnError] { skips.withLock { $0.errors } }

  private static let mostErrors = 10

  /// The order of the samples in an epoch.
  package func order(_ epoch: Int) -> [Int] {
    guard settings.isShuffled else { return samples }
    var order = samples
    var random = KeyedRandom(seed: settings.seed, 0x6F72_6465, UInt64(epoch))
    random.shuffle(&order)
    return order
  }

  public func beginEpoch(_ epoch: Int, firstBatch: Int) throws {
    let order = order(epoch)
    let first = try position(ofBatch: firstBatch, in: order)
    turn.withLock { $0 = Turn(order: order, epoch: epoch, next: first) }
    guard let prefetcher else { return }
    let count = (order.count + batchSize - 1) / batchSize
    // Not the source itself, which the threads would keep alive.
    let made = maker(order, epoch)
    prefetcher.begin(min(first, count), count, made)
  }

  public func next() throws -> Batch? {
    while true {
      let made: Result<Batch?, any Error>
      if let prefetcher {
        guard let next = prefetcher.next() else { return nil }
        made = next
      } else {
        let (order, epoch, number) = turn.withLock { turn in
          defer { turn.next += 1 }
          return (turn.order, turn.epoch, turn.next)
        }
        guard number * batchSize < order.count else { return nil }
        made = maker(order, epoch)(number)
      }
      // A batch of which nothing can be read is passed over.
      if let batch = try made.get() { return batch }
    }
  }

  private func maker(_ order: [Int], _ epoch: Int) -> BatchPrefetcher.Work {
    let settings = BatchSettings(seed: settings.seed, epoch: epoch, augmentation: settings.augmentation, classWeights: classWeights)
    let (store, size, isStrict) = (store, batchSize, self.settings.isStrict)
    return { [weak self] number in
      Result {
        let range = number * size..<min(order.count, (number + 1) * size)
        return try store.batch(Array(order[range]), settings) { sample, error in
          if isStrict { throw error }
          self?.note(sample, error)
        }
      }
    }
  }

  private func note(_ sample: Int, _ error: KilnError) {
    skips.withLock { skips in
      guard skips.samples.insert(sample).inserted, skips.errors.count < DataSource.mostErrors else { return }
      skips.errors.append(error)
    }
  }

  /// Where the batch lies that is given after so many: batches of which nothing can be read are not given.
  private func position(ofBatch batch: Int, in order: [Int]) throws -> Int {
    guard batch > 0, store.isSlow else { return batch }
    var (position, given) = (0, 0)
    while given < batch, position * batchSize < order.count {
      let range = position * batchSize..<min(order.count, (position + 1) * batchSize)
      if order[range].contains(where: store.isReadable) { given += 1 }
      position += 1
    }
    return position
  }
}
