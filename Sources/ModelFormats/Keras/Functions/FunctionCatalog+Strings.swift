import GraphModule
import TensorModule

extension FunctionCatalog {
  /// `tf.strings`, and `tf.as_string`; their names here begin with `strings_`.
  static let strings: [String: Meaning] = [
    "strings_lower": { call in [try text(call, StringMap(try isUTF8(call) ? .lowerUnicode : .lower), "lower")] },
    "strings_upper": { call in [try text(call, StringMap(try isUTF8(call) ? .upperUnicode : .upper), "upper")] },
    "strings_strip": { call in [try text(call, StringMap(.strip), "strip")] },
    "strings_length": { call in [try text(call, StringLength(try unit(call)), "length")] },
    "strings_substr": { call in
      let (start, length) = (try call.tensor(1, "pos"), try call.tensor(2, "len"))
      return [try call.layer.add(StringSlice(try unit(call)), [try subject(call), start, length], "substr")]
    },
    "strings_join": { [try joined($0)] },
    "strings_reduce_join": { [try reduceJoined($0)] },
    "strings_regex_replace": { call in
      guard let pattern = try call.json(at: 1, "pattern")?.stringValue, let rewrite = try call.json(at: 2, "rewrite")?.stringValue else {
        throw call.unsupported("a pattern or rewrite that is no text")
      }
      return [try text(call, RegexReplace(pattern: pattern, rewrite: rewrite, global: try call.bool("replace_global") ?? true), "replace")]
    },
    "strings_regex_full_match": { call in
      guard let pattern = try call.json(at: 1, "pattern")?.stringValue else { throw call.unsupported("a pattern that is no text") }
      return [try text(call, RegexFullMatch(pattern: pattern), "match")]
    },
    "strings_to_number": { call in [try text(call, StringToNumber(try call.dtype("out_type") ?? .float32), "number")] },
    "strings_to_hash_bucket": { call in [try text(call, try bucket(call, [StringToHashBucket.legacySeed]), "bucket")] },
    "strings_to_hash_bucket_fast": { call in [try text(call, try bucket(call, []), "bucket")] },
    "strings_to_hash_bucket_strong": { call in
      guard let key = try call.ints("key"), key.count == 2 else { throw call.wrong("key must be two integers") }
      return [try text(call, try bucket(call, key), "bucket")]
    },
    "strings_as_string": { call in
      let notation: AsString.Notation = try call.bool("scientific") == true ? .scientific : try call.bool("shortest") == true ? .shortest : .fixed
      let op = AsString(
        notation, precision: try call.int("precision") ?? -1, width: try call.int("width") ?? -1, fill: try call.string("fill") ?? "")
      return [try call.layer.add(op, [try call.tensor(0, "input")], "as_string")]
    },
  ]

  private static func subject(_ call: FunctionCall) throws -> ValueID {
    let x = try call.tensor(0, "input", "string_tensor", "inputs")
    guard call.dtype(of: x) == .string else { throw call.wrong("takes strings, found \(call.type(x).message)") }
    return x
  }

  private static func text(_ call: FunctionCall, _ op: any OpDefinition, _ suffix: String) throws -> ValueID {
    try call.layer.add(op, [try subject(call)], suffix)
  }

  private static func isUTF8(_ call: FunctionCall) throws -> Bool {
    let encoding = try call.string("encoding")?.lowercased() ?? ""
    guard ["", "utf-8"].contains(encoding) else { throw call.unsupported("encoding \(KilnError.quoted(encoding))") }
    return !encoding.isEmpty
  }

  private static func unit(_ call: FunctionCall) throws -> StringUnit {
    switch try call.string("unit") ?? "BYTE" {
    case "BYTE": .bytes
    case "UTF8_CHAR": .characters
    case let other: throw call.unsupported("unit \(KilnError.quoted(other))")
    }
  }

  private static func bucket(_ call: FunctionCall, _ key: [Int]) throws -> StringToHashBucket {
    guard let count = try call.json(at: 1, "num_buckets")?.intValue, count >= 1 else { throw call.wrong("num_buckets must be 1 or more") }
    return StringToHashBucket(buckets: count, key: key)
  }

  private static func joined(_ call: FunctionCall) throws -> ValueID {
    guard case .list(let items)? = call.argument(0, "inputs"), !items.isEmpty else { throw call.wrong("takes a list of texts") }
    let parts = try items.enumerated().map { index, item -> ValueID in
      if case .constant(let json) = item, let text = json.stringValue {
        return call.layer.constant(Tensor(strings: [ByteString(text)], shape: []), "text_\(index)")
      }
      return try call.materialised(try call.operand(item))
    }
    return try call.layer.add(StringJoin(separator: try call.string("separator") ?? ""), parts, "join")
  }

  private static func reduceJoined(_ call: FunctionCall) throws -> ValueID {
    let x = try subject(call)
    let rank = call.rank(x)
    // All axes are joined from the last to the first.
    let axes = try call.ints("axis").map { try $0.map { try call.axis($0, of: x) } } ?? Array((0..<rank).reversed())
    guard Set(axes).count == axes.count else { throw call.wrong("an axis is joined twice") }
    if axes.isEmpty { return x }
    let dims = call.dims(of: x)
    let kept = (0..<rank).filter { !axes.contains($0) }
    let turned = try call.layer.add(Transpose(kept + axes.reversed()), [x], "transpose")
    let flat = try call.layer.reshape(turned, kept.map { dims[$0] } + [axes.map { dims[$0] }.reduce(1, *)])
    let result = try call.layer.add(ReduceJoin(separator: try call.string("separator") ?? ""), [flat], "join")
    guard try call.bool("keepdims") == true else { return result }
    return try call.layer.reshape(result, (0..<rank).map { axes.contains($0) ? 1 : dims[$0] })
  }
}
