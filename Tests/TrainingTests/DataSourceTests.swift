import TensorModule
import TestSupport
import Testing
import Training

/// Orders, batches, weights and splits.
@Suite struct DataSourceTests {
  private func values(_ batches: [Batch]) -> [Float] { batches.flatMap { $0.inputs["input_1"]?.floats ?? [] } }

  @Test func everyEpochHasAnOrderOfItsOwn() throws {
    let store = try DataSupport.numbered(TemporaryFolder(), 50)
    var settings = DataSource.Settings()
    (settings.batchSize, settings.seed) = (8, 5)
    let source = try DataSource(store, settings: settings)
    let (first, second) = (values(try DataSupport.batches(source)), values(try DataSupport.batches(source, epoch: 1)))
    #expect(first.sorted() == (0..<50).map(Float.init) && second.sorted() == first.sorted())
    #expect(first != second && first != first.sorted())
    #expect(values(try DataSupport.batches(source)) == first, "an epoch's order does not depend on the ones before it")
    let again = try DataSource(store, settings: settings)
    #expect(values(try DataSupport.batches(again, epoch: 1, first: 3)) == Array(second.dropFirst(24)))
    settings.seed = 6
    #expect(values(try DataSupport.batches(try DataSource(store, settings: settings))) != first)
    settings.isShuffled = false
    #expect(values(try DataSupport.batches(try DataSource(store, settings: settings))) == first.sorted())
  }

  @Test func shufflesAreFair() {
    // Each of the 24 orders of 4 elements comes up about as often: chi squared with 23 degrees of freedom.
    var counts: [[Int]: Int] = [:]
    for epoch in 0..<24_000 {
      var order = [0, 1, 2, 3]
      var random = KeyedRandom(seed: 1, UInt64(epoch))
      random.shuffle(&order)
      counts[order, default: 0] += 1
    }
    #expect(counts.count == 24)
    let chi = counts.values.reduce(0.0) { $0 + Double(($1 - 1000) * ($1 - 1000)) / 1000 }
    #expect(chi < 60, "chi squared is \(chi)")
  }

  @Test func theLastBatchMayBeSmaller() throws {
    let source = try DataSource(try DataSupport.numbered(TemporaryFolder(), 10), settings: settings { $0.batchSize = 4 })
    #expect(source.batchCount == 3 && source.sampleCount == 10)
    #expect(try DataSupport.batches(source).map(\.count) == [4, 4, 2])
  }

  private func settings(_ change: (inout DataSource.Settings) -> Void) -> DataSource.Settings {
    var settings = DataSource.Settings()
    change(&settings)
    return settings
  }

  @Test func validationIsTheEndOfTheData() throws {
    let store = try DataSupport.numbered(TemporaryFolder(), 11)
    // floor(11 · 0.7) = 7, as in Keras's fit.
    let parts = try store.split(validation: 0.3, seed: 1)
    #expect(parts.training == Array(0..<7) && parts.validation == Array(7..<11))
    for bad in [0, 1, -0.5, 0.999, .nan] {
      #expect(DataSupport.line { _ = try store.split(validation: bad, seed: 1) }.contains("--validation-split"))
    }
  }

  @Test func classesWeighAlike() throws {
    let folder = TemporaryFolder()
    let path = try DataSupport.npz(
      folder, [("x", try Tensor([Float](repeating: 0, count: 8), shape: [8, 1])), ("y", try Tensor([0, 0, 0, 0, 0, 1, 1, 2] as [Int64], shape: [8]))])
    let store = try SampleStore.load(path, for: DataSupport.form([1], [3], .indices))
    let source = try DataSource(
      store,
      settings: settings {
        ($0.batchSize, $0.isShuffled, $0.hasBalancedClasses) = (8, false, true)
      })
    let weights = try #require(try DataSupport.batches(source).first?.sampleWeights["dense"]).floats
    // scikit-learn's "balanced": n / (classes · count)
    for (weight, count) in zip(weights, [5, 5, 5, 5, 5, 2, 2, 1] as [Float]) { #expect(abs(weight - 8 / (3 * count)) < 1e-6) }
    let numbers = try SampleStore.load(path, for: DataSupport.form([1], [], .numbers))
    #expect(DataSupport.line { _ = try DataSource(numbers, settings: settings { $0.hasBalancedClasses = true }) }.contains("--class-weights auto"))
  }

  @Test func augmentationDoesNotDependOnThreads() throws {
    var random = TestRandom(named: "augmentation")
    let pixels = (0..<40 * 6 * 5 * 3).map { _ in Float.random(in: 0...255, using: &random) }
    let folder = TemporaryFolder()
    let file = try DataSupport.npz(
      folder, [("x", try Tensor(pixels, shape: [40, 6, 5, 3])), ("y", try Tensor((0..<40).map { Int64($0 % 2) }, shape: [40]))])
    let store = try SampleStore.load(file, for: DataSupport.form([6, 5, 3], [2], .indices))
    let kinds = try Augmentation("flip,flip-vertical,crop,rotate,zoom,translate,brightness,contrast")
    func run(_ threads: Int, _ epoch: Int, _ first: Int = 0) throws -> [Float] {
      let source = try DataSource(
        store,
        settings: settings {
          ($0.batchSize, $0.threads, $0.augmentation, $0.seed) = (7, threads, kinds, 9)
        })
      return values(try DataSupport.batches(source, epoch: epoch, first: first))
    }
    let alone = try run(0, 2)
    #expect(try run(1, 2) == alone)
    #expect(try run(5, 2) == alone)
    #expect(try run(3, 2, 2) == Array(alone.dropFirst(2 * 7 * 90)))
    #expect(try run(0, 3) != alone)
    #expect(alone.allSatisfy { (-0.001...255.001).contains($0) })
  }

  @Test func whatAugmentationDoes() throws {
    let folder = TemporaryFolder()
    let pixels = (0..<12).map { Float($0) }
    let file = try DataSupport.npz(folder, [("x", try Tensor(pixels, shape: [1, 3, 4, 1])), ("y", try Tensor([0] as [Int64], shape: [1]))])
    let store = try SampleStore.load(file, for: DataSupport.form([3, 4, 1], [2], .indices))
    func seen(_ text: String) throws -> [[Float]] {
      try (0..<60).map { epoch in
        let source = try DataSource(store, settings: settings { $0.augmentation = try? Augmentation(text) })
        return values(try DataSupport.batches(source, epoch: epoch))
      }
    }
    let rows = [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]] as [[Float]]
    #expect(Set(try seen("flip")) == [pixels, rows.flatMap { $0.reversed() }])
    #expect(Set(try seen("flip-vertical")) == [pixels, rows.reversed().flatMap { $0 }])
    // Brighter by the same everywhere but where the range ends.
    for changed in try seen("brightness") {
      let delta = changed[5] - 5
      #expect(abs(delta) <= 0.2 * 11 + 0.001)
      #expect(zip(changed, pixels).allSatisfy { abs($0 - min(max($1 + delta, 0), 11)) < 1e-4 })
    }
    #expect(Set(try seen("rotate=90").map { $0.map { ($0 * 100).rounded() } }).count > 50)
    for changed in try seen("crop=0.5") { #expect((changed.min() ?? 0) >= 0 && (changed.max() ?? 0) <= 11) }
    for bad in ["tilt", "rotate=x", "crop=0", "brightness=2", "", "flip=1"] {
      #expect(DataSupport.line { _ = try Augmentation(bad) }.hasPrefix("--augment"), "\(bad)")
    }
    let masks = try DataSupport.npz(
      folder, [("x", try Tensor(pixels, shape: [1, 3, 4, 1])), ("y", try Tensor([Int32](repeating: 1, count: 12), shape: [1, 3, 4]))], "masks.npz")
    let places = try SampleStore.load(masks, for: DataSupport.form([3, 4, 1], [3, 4, 2], .indices))
    #expect(DataSupport.line { _ = try DataSource(places, settings: settings { $0.augmentation = try? Augmentation("flip") }) }.contains("has values for places in them"))
    _ = try DataSource(places, settings: settings { $0.augmentation = try? Augmentation("brightness") })
    let flat = try DataSupport.numbered(TemporaryFolder(), 4)
    #expect(DataSupport.line { _ = try DataSource(flat, settings: settings { $0.augmentation = try? Augmentation("flip") }) }.contains("inputs take none"))
  }
}
