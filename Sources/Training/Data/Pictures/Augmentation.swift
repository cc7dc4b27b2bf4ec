import TensorModule

/// Random changes of pictures while training (`--augment flip,rotate=10,brightness`).
public struct Augmentation: Sendable, Hashable {
  /// Left and right change places in half of the samples.
  public var flip = false
  /// Top and bottom change places in half of the samples.
  public var flipVertical = false
  /// A part is cut out whose sides are at least 1 - crop of the picture's, and stretched to the whole.
  public var crop = 0.0
  /// The picture is turned by up to these degrees either way.
  public var rotate = 0.0
  /// The picture is enlarged or made smaller by up to this part, with equal sides.
  public var zoom = 0.0
  /// The picture is moved by up to this part of its sides.
  public var translate = 0.0
  /// All samples are moved by up to this part of their range.
  public var brightness = 0.0
  /// The distance from each channel's mean is scaled by 1 - contrast … 1 + contrast.
  public var contrast = 0.0

  public init() {}

  /// The names with what they are without a number: it is the amount.
  private static let amounts: [(name: String, path: WritableKeyPath<Augmentation, Double> & Sendable, usual: Double, most: Double)] = [
    ("crop", \.crop, 0.2, 0.95), ("rotate", \.rotate, 15, 180), ("zoom", \.zoom, 0.1, 0.9), ("translate", \.translate, 0.1, 1),
    ("brightness", \.brightness, 0.2, 1), ("contrast", \.contrast, 0.2, 1),
  ]

  /// Whether pixels change their places.
  var moves: Bool { flip || flipVertical || crop > 0 || rotate > 0 || zoom > 0 || translate > 0 }

  /// The names that `init(_:)` reads.
  public static let names = ["flip", "flip-vertical"] + amounts.map(\.name)

  /// Reads a list such as `flip,crop,rotate=10`.
  ///
  /// - Throws: `KilnError` (`usage`) for an unknown name or an amount out of range.
  public init(_ text: String) throws {
    for item in text.split(separator: ",", omittingEmptySubsequences: false) {
      let parts = item.split(separator: "=", maxSplits: 1).map(String.init)
      let name = parts.first ?? ""
      if name == "flip" || name == "flip-vertical", parts.count == 1 {
        if name == "flip" { flip = true } else { flipVertical = true }
      } else if let found = Augmentation.amounts.first(where: { $0.name == name }) {
        guard let amount = parts.count == 1 ? found.usual : Double(parts[1]), amount > 0, amount <= found.most else {
          throw KilnError(.usage, "--augment \(KilnError.escaped(String(item))): expected a number over 0, at most \(found.most)")
        }
        self[keyPath: found.path] = amount
      } else {
        throw KilnError(
          .usage, "--augment: unknown \(KilnError.quoted(String(item)))", hint: "known: " + Augmentation.names.joined(separator: ", "))
      }
    }
  }

  /// What happens to one sample in one epoch, whichever thread reads it.
  func drawn(seed: UInt64, epoch: Int, sample: Int) -> SampleAugmentation {
    var random = KeyedRandom(seed: seed, 0x6175_676D, UInt64(epoch), UInt64(sample))
    return SampleAugmentation(self, &random)
  }
}
