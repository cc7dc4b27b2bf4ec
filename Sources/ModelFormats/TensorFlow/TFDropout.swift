import GraphModule
import TensorModule

/// The mask of a dropout that drops nothing: numbers drawn from an interval that lies wholly on one side of the rate.
///
/// `GreaterEqual(uniform, rate)` with the rate 0 holds everywhere; `Floor(keep_prob + uniform)` with the probability 1 is 1. The numbers
/// need not be drawn then.
struct TFDropout {
  private let frame: TFFrame
  private let node: TFNode
  /// What is done to the drawn numbers, the outermost first.
  private let steps: [(op: String, frame: TFFrame, operand: TFReference)]

  static let ops: Set<String> = ["GreaterEqual", "Floor"]

  private static let maximumSteps = 8

  /// The pattern that ends at a node; nil when there is none.
  init?(_ converter: TFConverter, _ frame: TFFrame, _ node: TFNode) throws {
    guard TFDropout.ops.contains(node.op), node.inputs.count == (node.op == "Floor" ? 1 : 2) else { return nil }
    var steps: [(op: String, frame: TFFrame, operand: TFReference)] = []
    var place = (frame: frame, reference: node.inputs[0])
    while true {
      guard let (frame, node) = try TFDropout.maker(converter, place.frame, place.reference) else { return nil }
      if node.op == "RandomUniform" { break }
      guard ["Mul", "Add", "AddV2"].contains(node.op), node.inputs.count == 2, steps.count < TFDropout.maximumSteps else { return nil }
      let places = try node.inputs.map { try TFDropout.leads(converter, frame, $0, steps: TFDropout.maximumSteps) }
      guard places[0] != places[1] else { return nil }
      steps.append((node.op, frame, node.inputs[places[0] ? 1 : 0]))
      place = (frame, node.inputs[places[0] ? 0 : 1])
    }
    self.frame = frame
    self.node = node
    self.steps = steps
  }

  private static func maker(_ converter: TFConverter, _ frame: TFFrame, _ reference: TFReference) throws -> (frame: TFFrame, node: TFNode)? {
    guard case .output(let output) = try converter.locate(frame, reference) else { return nil }
    let frame = converter.frames[output.key.frame]
    return (frame, frame.nodes[output.key.node])
  }

  /// Whether an operand is drawn numbers, scaled or shifted.
  private static func leads(_ converter: TFConverter, _ frame: TFFrame, _ reference: TFReference, steps: Int) throws -> Bool {
    guard steps > 0, let (frame, node) = try maker(converter, frame, reference) else { return false }
    if node.op == "RandomUniform" { return true }
    guard ["Mul", "Add", "AddV2"].contains(node.op), node.inputs.count == 2 else { return false }
    return try node.inputs.contains { try leads(converter, frame, $0, steps: steps - 1) }
  }

  private var operands: [(frame: TFFrame, reference: TFReference)] {
    steps.map { ($0.frame, $0.operand) } + node.inputs.dropFirst().map { (frame, $0) }
  }

  /// The nodes to finish first; empty when all is known.
  func needs(_ converter: TFConverter) throws -> [TFKey] {
    try operands.flatMap { try converter.keys($0.frame, CollectionOfOne($0.reference)) }.filter { converter.results[$0] == nil }
  }

  /// The mask as one number for all elements; nil when the drawn numbers decide.
  func mask(_ converter: TFConverter) throws -> Tensor? {
    let numbers = try operands.map { place -> Double? in
      guard let tensor = try converter.value(place.frame, place.reference)?.evaluated, tensor.count == 1, tensor.dtype.isFloat else { return nil }
      return tensor.doubles[0]
    }
    var (low, high) = (0.0, 1.0)
    for (step, number) in zip(steps, numbers).reversed() {
      guard let number, number.isFinite else { return nil }
      if step.op == "Mul" {
        guard number >= 0 else { return nil }
        (low, high) = (low * number, high * number)
      } else {
        (low, high) = (low + number, high + number)
      }
    }
    if node.op == "Floor" { return low == 1 && high <= 2 ? try Tensor(converting: [1], to: .float32, shape: []) : nil }
    guard let rate = numbers.last ?? nil, low >= rate else { return nil }
    return try Tensor([true], shape: [])
  }
}
