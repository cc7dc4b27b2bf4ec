import GraphModule
import TensorModule

extension ONNXWriterCatalog {
  static let strings: [Row] = [
    .written(StringJoin.self, "StringConcat") { op, w in
      let separator = op.separator.isEmpty ? nil : w.text(op.separator)
      var result = try w.x(0)
      for index in w.node.inputs.indices.dropFirst() {
        if let separator { result = w.one("StringConcat", result, separator) }
        result = w.one("StringConcat", result, try w.x(index))
      }
      w.define(0, result)
    },
    .written(ReduceJoin.self, "Gather and StringConcat over an axis of known length") { op, w in
      let rank = w.type(0).rank
      guard let count = w.type(0).dims.last?.fixed, (1...256).contains(count) else { throw w.unsupported("joining an axis that is open, empty or long") }
      let separator = op.separator.isEmpty ? nil : w.text(op.separator)
      var result = ""
      for index in 0..<count {
        let part = w.one("Gather", try w.x(0), try w.scope.draft.numbers([Double(index)], .int64, []), attributes: [("axis", .int(rank - 1))])
        if index == 0 { result = part } else {
          if let separator { result = w.one("StringConcat", result, separator) }
          result = w.one("StringConcat", result, part)
        }
      }
      w.define(0, result)
    },
    .written(RegexFullMatch.self, "RegexFullMatch") { op, w in w.finish("RegexFullMatch", [try w.x(0)], [("pattern", .text(op.pattern))]) },
    .written(StringMap.self, "StringNormalizer, for the case of all letters") { op, w in
      guard op.function == .lowerUnicode || op.function == .upperUnicode else {
        throw w.unsupported("string_map '\(op.function.rawValue)': ONNX changes the case of all letters or of none")
      }
      let dims = w.type(0).dims
      let flat = w.one("Reshape", try w.x(0), try w.ints([-1]))
      let mapped = w.one("StringNormalizer", flat, attributes: [("case_change_action", .text(op.function == .lowerUnicode ? "LOWER" : "UPPER"))])
      w.finish("Reshape", [mapped, try w.scope.shape(dims)])
    },
    .written(StringToNumber.self, "Cast") { op, w in w.finish("Cast", [try w.x(0)], [("to", .int(ONNXDataType(op.dtype).number))]) },
    .written(AsString.self, "Cast for integers, Where for bool") { op, w in
      guard op.width < 1, op.fill.isEmpty else { throw w.unsupported("numbers as texts of a width") }
      switch w.type(0).dtype {
      case .bool: w.finish("Where", [try w.x(0), w.text("true"), w.text("false")])
      case let dtype where dtype.isInteger: w.finish("Cast", [w.cast(try w.x(0), .int64)], [("to", .int(ONNXDataType.string.number))])
      default: throw w.unsupported("floats as texts, whose form ONNX leaves open")
      }
    },
    .written(StringSplit.self, "StringSplit at white space, Concat and Slice to the length") { op, w in
      guard op.tokenizer.split == .whitespace, op.tokenizer.ngrams.isEmpty else { throw w.unsupported("splits that are not at white space, and n-grams") }
      let results = w.emit("StringSplit", [try w.x(0)], results: 2)
      w.define(1, results[1])
      let dims = w.type(0).dims
      guard let length = op.length.fixed else { return w.define(0, results[0]) }
      let blank = w.one("Expand", w.text(""), try w.scope.shape(dims + [Dim(length)]))
      let wide = w.emit("Concat", [results[0], blank], [("axis", .int(dims.count))])[0]
      w.define(0, try w.slice(wide, axis: dims.count, 0, length))
    },
    .written(Lookup.self, "ai.onnx.ml.LabelEncoder for the place, Gather") { _, w in
      guard let keys = w.constant(1) else { throw w.unsupported("a table of computed keys") }
      let count = keys.shape[0]
      let values = try w.x(2)
      // The first of equal keys counts; without a default the place behind the last is an error of Gather.
      var seen: Set<ByteString> = []
      var numbers: Set<Int64> = []
      let isText = keys.dtype == .string
      let places = (0..<count).filter { isText ? seen.insert(keys.strings[$0]).inserted : numbers.insert(keys.integers[$0]).inserted }
      let hasDefault = w.node.inputs.count > 3
      let missing = hasDefault ? -1 : count
      let x = isText || w.type(0).dtype == .int64 ? try w.x(0) : w.cast(try w.x(0), .int64)
      let keyAttribute: (String, ONNXDraftAttribute) =
        isText ? ("keys_strings", .texts(places.map { keys.strings[$0] })) : ("keys_int64s", .ints(places.map { Int(keys.integers[$0]) }))
      guard !places.isEmpty else { throw w.unsupported("a table without keys") }
      let place = w.scope.emit(
        "LabelEncoder", [x], [keyAttribute, ("values_int64s", .ints(places)), ("default_int64", .int(missing))], domain: "ai.onnx.ml",
        named: "\(w.label)/place")[0]
      if !hasDefault { return w.finish("Gather", [values, place]) }
      let zero = try w.scalar(0, .int64)
      let found = w.one("Gather", values, w.one("Max", place, zero))
      w.define(0, try w.select(w.one("Less", place, zero), try w.x(3), found, w.resultType().dtype))
    },
  ]
}

extension ONNXNodeWriter {
  /// A text as a scalar.
  func text(_ text: String) -> String { scope.draft.initializer("text", Tensor(strings: [ByteString(text)], shape: [])) }
}
