import GraphModule
import TensorModule

/// One feature of all Examples.
struct FeatureColumn {
  private let key: ByteString
  private var floats: [Float] = []
  private var integers: [Int64] = []
  private var texts: [ByteString] = []
  private var pictures: [PictureSource] = []
  private var kind: Kind?
  /// Values in each Example.
  private var width = 0
  private var count = 0

  private enum Kind { case floats, integers, texts, pictures }

  init(_ key: ByteString) { self.key = key }

  /// Does work whose errors are about this feature.
  func naming<Result>(_ work: () throws -> Result) throws -> Result {
    do { return try work() } catch let error as KilnError { throw error.inside("feature \(key.quoted)") }
  }

  /// Adds the values of the next Example.
  ///
  /// - Parameter offset: where the message begins in the file.
  mutating func add(_ message: ExampleMessage, _ file: MappedFile, _ offset: Int, _ place: String) throws {
    let places = try message.textPlaces(key)
    let isPicture = places.count == 1 && FeatureColumn.isPicture(message.bytes, places[0])
    if kind == .pictures || kind == nil && isPicture {
      guard places.count == 1 else { throw wrong("holds \(places.count) texts; expected one picture") }
      kind = .pictures
      pictures.append(.part(file, places[0].lowerBound + offset..<places[0].upperBound + offset, place: place))
      count += 1
      return
    }
    let values = try message.values(key)
    let (found, number): (Kind, Int)
    switch values {
    case .floats(let list)?:
      (found, number) = (.floats, list.count)
      floats += list.map { Float($0) }
    case .integers(let list)?:
      (found, number) = (.integers, list.count)
      integers += list
    case .strings(let list)?:
      (found, number) = (.texts, list.count)
      texts += list
    case nil: throw wrong("is missing")
    }
    guard kind == nil || kind == found, count == 0 || width == number else {
      throw wrong("holds \(number) values of another kind or number than the records before it (\(width))")
    }
    (kind, width) = (found, number)
    count += 1
  }

  private func wrong(_ message: String) -> KilnError { KilnError(.badInput, "feature \(key.quoted) \(message)") }

  private static func isPicture(_ bytes: UnsafeRawBufferPointer, _ place: Range<Int>) -> Bool {
    let start = bytes[place].prefix(4)
    return start.starts(with: [0x89, 0x50, 0x4E, 0x47]) || start.starts(with: [0xFF, 0xD8, 0xFF])
  }

  func column(_ input: DataForm.Input, _ options: DataOptions) throws -> SampleStore.Column {
    if kind == .pictures {
      return .pictures(pictures, try PictureForm(input, size: options.imageSize, mode: options.imageMode))
    }
    let fixed = input.dims.compactMap { $0 }
    if kind == .texts, input.dtype != .string, width == 1, fixed.count == input.dims.count, let size = checkedProduct(fixed) {
      let bytes = try Tensor(dtype: .uint8, shape: [count] + fixed) { memory in
        for (row, text) in texts.enumerated() {
          guard text.count == size else {
            throw KilnError(.badInput, "record \(row) holds \(text.count) bytes that are no PNG or JPEG file; expected \(size) samples")
          }
          memory[row * size..<(row + 1) * size].copyBytes(from: text.bytes)
        }
      }
      return .array(try ArrayColumn.fitted(bytes, input))
    }
    return .array(try ArrayColumn.fitted(try tensor(input.dims, isTarget: false), input))
  }

  /// The values as an array: one a sample, or a row under the lengths that are wanted.
  func tensor(_ dims: [Int?], isTarget: Bool) throws -> Tensor {
    let fixed = dims.compactMap { $0 }
    let inner: Shape
    if fixed.count == dims.count, checkedProduct(fixed) == width {
      inner = fixed
    } else if isTarget, width == 1 {
      inner = []
    } else {
      inner = [width]
    }
    let shape = [count] + inner
    switch kind {
    case .floats?: return try Tensor(floats, shape: shape)
    case .integers?: return try Tensor(integers, shape: shape)
    case .texts?: return Tensor(strings: texts, shape: shape)
    default: throw KilnError(.badInput, "holds pictures where numbers are expected")
    }
  }
}
