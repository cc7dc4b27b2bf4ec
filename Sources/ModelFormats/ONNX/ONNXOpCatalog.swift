import GraphModule
import TensorModule

/// What each op means, by its operator set and the version from which a meaning holds.
enum ONNXOpCatalog {
  typealias Reader = @Sendable (ONNXCall) throws -> [ONNXValue]
  /// A reader whose results are values of the graph.
  typealias Plain = @Sendable (ONNXCall) throws -> [ValueID]

  /// One op of a domain.
  struct Row: Sendable {
    var op: String
    var domain: String
    /// The first version of the operator set in which the reader is right.
    var since: Int
    var reader: Reader

    /// Results have their own dtypes.
    init(_ op: String, _ domain: String = "", since: Int = 1, _ plain: @escaping Plain) {
      self.init(values: op, domain, since: since) { call in call.plain(try plain(call)) }
    }

    /// The first result has the element type of the operand at `like`.
    init(like operand: Int, _ op: String, _ domain: String = "", since: Int = 1, _ plain: @escaping Plain) {
      self.init(values: op, domain, since: since) { call in
        let element = try call.element(operand)
        let results = try plain(call)
        return try results.enumerated().map { index, id in
          call.type(id).dtype == element.dtype && (index == 0 || call.op == "Split")
            ? call.result(try call.wrapped(id, element), element, index) : call.plain([id])[0]
        }
      }
    }

    init(values op: String, _ domain: String = "", since: Int = 1, _ reader: @escaping Reader) {
      self.op = op
      self.domain = domain
      self.since = since
      self.reader = reader
    }
  }

  /// A heading of the table of ops, and the rows under it.
  struct Family: Sendable {
    var title: String
    var rows: [Row]

    init(_ title: String, _ rows: [Row]) {
      self.title = title
      self.rows = rows
    }
  }

  static let families: [Family] = [
    sources, elementwise, comparisons, shapes, pieces, indexing, reductions, products, convolutions, pools, normalizations, images,
    recurrent, quantization, control, sequences, attention, losses, signals, strings, classical, fused,
  ]

  /// Rows by domain and op, the newest first.
  private static let rows: [String: [Row]] = Dictionary(grouping: families.flatMap(\.rows)) { "\($0.domain)\u{1}\($0.op)" }
    .mapValues { $0.sorted { $0.since > $1.since } }

  /// The reader for a version of the operator set; nil when there is none.
  static func reader(_ op: String, _ domain: String, _ version: Int) -> Reader? {
    rows["\(domain)\u{1}\(op)"]?.first { $0.since <= version }?.reader
  }

  /// Every op that has a reader, with its domain before it.
  static let names: [String] = Set(families.flatMap(\.rows).map { $0.domain.isEmpty ? $0.op : "\($0.domain).\($0.op)" }).sorted()
}

extension ONNXCall {
  /// A value brought back to the range of an integer type that is wider in the graph.
  func wrapped(_ id: ValueID, _ element: ONNXDataType) throws -> ValueID {
    guard element.isWidened, ONNXCall.wrapping.contains(op) else { return id }
    let dtype = type(id).dtype
    switch element.number {
    case 4: return try binary(.bitAnd, id, try scalar(65535, dtype))
    case 12: return try binary(.bitAnd, id, try scalar(4_294_967_295, dtype))
    default: throw unsupported("arithmetic on \(element.name)")
    }
  }

  /// Ops whose results may leave the range of their operands.
  private static let wrapping: Set<String> = [
    "Add", "Sub", "Mul", "Neg", "Pow", "Sum", "ReduceSum", "ReduceProd", "ReduceSumSquare", "ReduceL1", "CumSum", "CumProd", "MatMul", "Gemm",
    "BitShift", "BitwiseNot", "Mean", "Abs", "Range", "ScatterElements", "ScatterND", "Einsum",
  ]
}
