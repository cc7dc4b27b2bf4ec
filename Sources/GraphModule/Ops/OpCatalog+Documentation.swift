import TensorModule

extension OpCatalog {
  /// `Docs/ops.md`: every op with its operands and attributes, and every scalar function, as Markdown tables.
  package static func documentation() -> String {
    var out = """
      # Ops

      The operations of Kiln's graph, as the text form (`kconv inspect`, `kconv explain`) writes them. Tensors are row-major and
      channels-last. This page is generated: a test compares it with the catalogue
      (`KILN_WRITE_DOCS=1 swift test -c release --filter DocumentationTests` writes it).

      | op | result | attributes |
      |---|---|---|

      """
    for op in all.sorted(by: { $0.name < $1.name }) {
      out += "| `\(op.name)` | \(cell(op.summary)) | \(attributes(of: op)) |\n"
    }
    out += """

      ## Scalar functions

      What `elementwise` and `chain` apply, and (those of one operand) what `conv`, `matmul` and `rnn` take as activation.

      | function | operands | parameters | operands may be |
      |---|---|---|---|

      """
    for function in ScalarFunction.allCases {
      out += "| `\(function.rawValue)` | \(function.arity) | \(function.parameterCount) | \(dtypes(of: function)) |\n"
    }
    return out
  }

  /// The attributes that an op's examples have, with their kind; the choices where they are words.
  private static func attributes(of op: any OpDefinition.Type) -> String {
    var names: [String] = []
    var kinds: [String: [String]] = [:]
    for (name, value) in op.examples.flatMap(\.op.attributes) {
      if kinds[name] == nil { names.append(name) }
      let kind = kind(of: value)
      if kinds[name]?.contains(kind) != true { kinds[name, default: []].append(kind) }
    }
    return names.map { name in
      let found = kinds[name] ?? []
      return "`\(name)`: \(described(name, found))"
    }.joined(separator: "; ")
  }

  /// Kinds in words; examples need not have every activation and dtype there is.
  private static func described(_ name: String, _ kinds: [String]) -> String {
    if name == "function" { return "a scalar function" }
    if name.hasSuffix("activation") { return "a scalar function of one operand, with parameters [function, p0, ...]" }
    if kinds.count > 2, kinds.allSatisfy({ DType(name: $0.dropFirst().dropLast()) != nil }) { return "a dtype" }
    return kinds.joined(separator: " or ")
  }

  private static func kind(of value: AttributeValue) -> String {
    switch value {
    case .bool: "true or false"
    case .int: "integer"
    case .float: "number"
    case .word(let word): "`\(word)`"
    case .string: "text"
    case .dims: "dims"
    case .list(let items): if case .graph? = items.first { "list of graphs" } else { "list" }
    case .graph: "graph"
    }
  }

  private static func dtypes(of function: ScalarFunction) -> String {
    var names: [String] = []
    if !function.isLogical && !function.isBitwise { names.append("floats") }
    if function.acceptsIntegers { names.append("integers") }
    let operands = [DType](repeating: .bool, count: function.arity)
    if (try? Elementwise.resultType(function, operands)) != nil { names.append("bool") }
    return names.joined(separator: ", ")
  }

  /// Text that does not end a table's cell.
  private static func cell(_ text: String) -> String {
    text.split(separator: "|", omittingEmptySubsequences: false).joined(separator: "\\|")
  }
}
