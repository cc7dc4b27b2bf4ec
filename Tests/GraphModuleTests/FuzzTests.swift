import GraphModule
import TensorModule
import Testing

/// Whatever a file says, reading it and inferring types ends in a value or an error.
@Suite struct FuzzTests {
  @Test func mutatedTextIsNeverATrap() throws {
    var random = Random(Random.seed)
    var accepted = 0
    for round in 0..<2000 {
      if round % 100 == 0 { print("KILN_TEST_SEED=\(Random.seed) round \(round)") }
      var bytes = Array(TextForm.print(try TextFormTests.graph(&random)).utf8)
      if random.chance(20) {
        bytes = Array(bytes.prefix(random.int(0...bytes.count)))
      } else {
        for _ in 0..<random.int(1...4) { Self.mutate(&bytes, &random) }
      }
      do {
        let graph = try TextForm.parse(String(decoding: bytes, as: UTF8.self))
        accepted += 1
        try Verifier.verify(graph)
        // What is accepted prints and reads back.
        #expect(try TextForm.parse(TextForm.print(graph)) == graph, "seed \(Random.seed) round \(round)")
      } catch let error as KilnError {
        #expect(error.code == .badInput, "seed \(Random.seed) round \(round): \(error)")
      }
    }
    #expect(accepted > 20)
  }

  private static func mutate(_ bytes: inout [UInt8], _ random: inout Random) {
    guard !bytes.isEmpty else { return }
    let at = random.int(0...(bytes.count - 1))
    switch random.int(0...5) {
    case 0: bytes[at] = UInt8(random.int(0...255))
    case 1: bytes.remove(at: at)
    case 2: bytes.insert(random.pick(Array("0123456789-[]{}<>(),:%\"\\ \n*+".utf8)), at: at)
    case 3:
      let tokens = [
        "9223372036854775807", "-9223372036854775808", "nan", "-inf", "1e999", "batch", "none", "-1", "0", "[[[[",
        "<n>",
      ]
      // A number becomes another.
      let digits = bytes.indices.filter { (48...57).contains(bytes[$0]) }
      let place = digits.isEmpty ? at : random.pick(digits)
      bytes.replaceSubrange(place...place, with: Array(random.pick(tokens).utf8))
    case 4:
      let end = min(bytes.count, at + random.int(1...20))
      bytes.insert(contentsOf: bytes[at..<end], at: random.int(0...(bytes.count - 1)))
    default: bytes.removeSubrange(at..<min(bytes.count, at + random.int(1...12)))
    }
  }

  /// Random attributes and operand types: `init(from:)`, `infer`, `flops` and, where small, `reference` do not trap.
  @Test(arguments: OpCatalog.all.map { $0.name })
  func inferenceNeverTraps(_ name: String) throws {
    let op = try #require(OpCatalog.op(named: name))
    let examples = op.examples
    var random = Random(Random.seed)
    var accepted = 0
    for _ in 0..<4000 {
      let example = random.pick(examples)
      var attributes = example.op.attributes
      if random.chance(60), !attributes.isEmpty {
        let index = random.int(0...(attributes.count - 1))
        attributes[index].value = Self.mutated(attributes[index].value, &random)
      }
      var inputs = example.inputs
      if random.chance(60) { for _ in 0..<random.int(1...2) { Self.mutate(&inputs, &random) } }
      do {
        var reader = try AttributeReader(op: name, attributes)
        let made = try op.init(from: &reader)
        try reader.finish()
        let types = try made.infer(inputs)
        accepted += 1
        _ = made.flops(inputs, types)
        #expect(made.isEqual(to: made))
        try Verifier.verify(Graph.of(made, inputs))
        // An axis of length 0 leaves the others' lengths.
        let sizes = (inputs + types).map { $0.shape.flatMap { checkedProduct($0.map { max($0, 1) }) } }
        guard sizes.allSatisfy({ ($0 ?? Int.max) <= 3000 }) else { continue }
        let operands = inputs.map { random.tensor($0, range: $0.dtype == .bool ? 0...1 : -3...3) }
        let results = try LoopLimit.$reference.withValue(100) { try made.reference(operands, types) }
        #expect(results.map { TensorType($0.dtype, shape: $0.shape) } == types)
        #expect(results.allSatisfy(isSound))
      } catch let error as KilnError {
        // A loop that does not end is stopped.
        #expect(error.code == .badInput || name == "loop" && error.code == .failed, "seed \(Random.seed): \(error)")
      }
    }
    #expect(accepted > 200)
  }

  private static let numbers = [
    0, 1, -1, 2, 3, 4, 7, 8, 100, -100, 1 << 24, 1 << 25, 1 << 31, 1 << 40, Int.max, Int.min, Int.max - 1, Int.min + 1,
  ]

  private static func mutated(_ value: AttributeValue, _ random: inout Random) -> AttributeValue {
    if random.chance(5) {
      return random.pick([
        .bool(true), .int(3), .float(.nan), .word("none"), .string("x"), .dims([2]), .list([]),
        .list([.list([.list([])])]),
      ])
    }
    switch value {
    case .bool(let flag): return .bool(!flag)
    case .int: return .int(random.pick(numbers))
    case .float:
      return .float(random.pick([0, -0.0, 1, -1, 0.5, .nan, .infinity, -.infinity, 1e300, 5e-324, 255, 1e18]))
    case .word:
      return .word(
        random.pick([
          "max", "sum", "valid", "same", "int8", "string", "bool", "float16", "relu", "select", "none", "x9", "s0",
          "lstm", "",
        ]))
    case .string(let text): return .string(text + "x")
    case .dims(var dims):
      if dims.isEmpty || random.chance(20) { return .dims(dims + [dim(&random)]) }
      dims[random.int(0...(dims.count - 1))] = dim(&random)
      return .dims(dims)
    case .graph(var graph):
      if !graph.outputs.isEmpty, random.chance(50) { graph.outputs.removeLast() } else { graph.outputs.reverse() }
      return .graph(graph)
    case .list(var items):
      if items.isEmpty || random.chance(10) { return .list(items + [.int(random.pick(numbers))]) }
      let index = random.int(0...(items.count - 1))
      switch random.int(0...9) {
      case 0: items.remove(at: index)
      case 1: items.insert(items[index], at: 0)
      default: items[index] = mutated(items[index], &random)
      }
      return .list(items)
    }
  }

  private static func dim(_ random: inout Random) -> Dim {
    switch random.int(0...9) {
    case 0: .symbol("n")
    case 1: (.symbol("n") * 3 - 7).floorDivided(by: 2) * .symbol("m")
    case 2: Dim(random.pick(numbers))
    default: Dim(random.int(0...9))
    }
  }

  private static func mutate(_ inputs: inout [TensorType], _ random: inout Random) {
    switch random.int(0...9) {
    case 0 where !inputs.isEmpty: inputs.removeLast()
    case 1: inputs.append(inputs.last ?? TensorType(.float32, []))
    default:
      guard !inputs.isEmpty else { return }
      let index = random.int(0...(inputs.count - 1))
      switch random.int(0...5) {
      case 0: inputs[index].dtype = random.pick(DType.allCases)
      case 1: inputs[index].dims = (0..<random.int(0...9)).map { _ in dim(&random) }
      case 2:
        let dtype = random.pick(DType.allCases)
        for place in inputs.indices { inputs[place].dtype = dtype }
      default:
        guard !inputs[index].dims.isEmpty else { return }
        let axis = random.int(0...(inputs[index].dims.count - 1))
        let (old, new) = (inputs[index].dims[axis], dim(&random))
        // Often everywhere alike, so that operands go on fitting each other.
        for place in inputs.indices where place == index || random.chance(50) {
          inputs[place].dims = inputs[place].dims.map { $0 == old ? new : $0 }
        }
      }
    }
  }
}
