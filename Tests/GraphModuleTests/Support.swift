import GraphModule
import TensorModule
import Testing

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// Numbers from a seed (SplitMix64), so that a failure can be run again.
struct Random: RandomNumberGenerator {
  private var state: UInt64

  init(_ seed: UInt64) { state = seed }

  /// The seed of this run: `KILN_TEST_SEED`, or the clock. Tests name it in what they record.
  static let seed: UInt64 = {
    if let text = getenv("KILN_TEST_SEED"), let seed = UInt64(String(cString: text)) { return seed }
    let seed = UInt64(time(nil))
    print("KILN_TEST_SEED=\(seed)")
    return seed
  }()

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }

  mutating func int(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &self) }

  mutating func chance(_ percent: Int) -> Bool { int(1...100) <= percent }

  mutating func pick<C: Collection>(_ items: C) -> C.Element {
    items[items.index(items.startIndex, offsetBy: int(0...(items.count - 1)))]
  }

  /// Standard normal, near enough.
  mutating func normal() -> Double { (0..<12).reduce(-6) { sum, _ in sum + Double.random(in: 0..<1, using: &self) } }

  /// A tensor of a type of fixed dims.
  mutating func tensor(_ type: TensorType, range: ClosedRange<Double>? = nil) -> ReferenceTensor {
    let shape = type.shape ?? []
    let count = shape.elementCount
    if type.dtype == .string {
      let words: [ByteString] = ["", "a", "ä€", "two words", "\"quoted\"\n", ByteString([0xFF, 0x41, 0])]
      return ReferenceTensor(.string, shape, .strings((0..<count).map { _ in pick(words) }))
    }
    return ReferenceTensor(
      type.dtype, shape,
      numbers: (0..<count).map { _ in
        guard let range else { return type.dtype.isFloat ? normal() : normal() * 3 }
        let value = Double.random(in: range, using: &self)
        return type.dtype.isFloat ? value : value.rounded()
      })
  }

  /// The operands of an example.
  mutating func operands(_ example: OpExample) -> [ReferenceTensor] {
    example.inputs.enumerated().map { index, type in
      if let texts = example.texts[index] { return ReferenceTensor(.string, type.shape ?? [], .strings(texts)) }
      if let values = example.fixed[index] { return ReferenceTensor(type.dtype, type.shape ?? [], numbers: values) }
      return tensor(type, range: example.range)
    }
  }
}

/// One example of an op, as a test argument.
struct Case: Sendable, CustomTestStringConvertible {
  var example: OpExample
  var testDescription: String { "\(example.op.opName) \(index)" }
  var index: Int

  /// Every example of every op.
  static let all: [Case] = OpCatalog.all.flatMap { op in op.examples.enumerated().map { Case(example: $1, index: $0) } }
}

extension Graph {
  /// A graph of one node, whose operands are inputs.
  static func of(_ op: any OpDefinition, _ inputs: [TensorType]) throws -> Graph {
    var graph = Graph(name: "one")
    let ids = try inputs.enumerated().map { try graph.addInput("x\($0)", $1) }
    let results = try graph.add(op, ids, name: "y")
    graph.outputs = results.enumerated().map { Output(name: "out\($0)", value: $1) }
    return graph
  }
}

/// Whether the results' storage is that of their dtypes, with integers in range.
func isSound(_ tensor: ReferenceTensor) -> Bool {
  switch tensor.storage {
  case .floats(let values): return tensor.dtype.isFloat && values.count == tensor.shape.elementCount
  case .strings(let values): return tensor.dtype == .string && values.count == tensor.shape.elementCount
  case .integers(let values):
    guard let range = tensor.dtype.integerRange else { return false }
    return values.count == tensor.shape.elementCount && values.allSatisfy(range.contains)
  }
}
