import GraphModule
import TensorModule

extension TFOpCatalog {
  /// Texts to texts and numbers, element by element.
  static let strings = Family(
    "Strings",
    [
      "AsString": { call in
        let notation: AsString.Notation = try call.bool("scientific") ? .scientific : try call.bool("shortest") ? .shortest : .fixed
        let text = AsString(
          notation, precision: try call.int("precision", -1), width: try call.int("width", -1), fill: try call.text("fill", ""))
        return [try call.add(text, [try call.x(0)], "as_string")]
      },
      "StringJoin": { call in [try call.add(StringJoin(separator: try call.text("separator", "")), try call.all(), "join")] },
      "ReduceJoin": { [try reduceJoin($0)] },
      "StringLength": { call in [try call.add(StringLength(try unit(call)), [try call.x(0)], "length")] },
      "StringLower": { call in [try call.add(StringMap(try isUTF8(call) ? .lowerUnicode : .lower), [try call.x(0)], "lower")] },
      "StringUpper": { call in [try call.add(StringMap(try isUTF8(call) ? .upperUnicode : .upper), [try call.x(0)], "upper")] },
      "StringStrip": { call in [try call.add(StringMap(.strip), [try call.x(0)], "strip")] },
      "Substr": { call in [try call.add(StringSlice(try unit(call)), [try call.x(0), try call.x(1), try call.x(2)], "substr")] },
      "StringToNumber": { call in [try call.add(StringToNumber(try call.dtype("out_type", .float32)), [try call.x(0)], "number")] },
      "StringToHashBucket": { [try bucket($0, [StringToHashBucket.legacySeed])] },
      "StringToHashBucketFast": { [try bucket($0, [])] },
      "StringToHashBucketStrong": { call in
        let key = try call.ints("key")
        guard key.count == 2 else { throw call.wrong("attribute 'key' must be two numbers") }
        return [try bucket(call, key)]
      },
      "RegexReplace": { call in
        let (pattern, rewrite) = (try scalarText(call, 1, "a pattern"), try scalarText(call, 2, "a rewrite"))
        return [try regexReplace(call, pattern, rewrite)]
      },
      "StaticRegexReplace": { call in [try regexReplace(call, try call.text("pattern"), try call.text("rewrite"))] },
      "RegexFullMatch": { call in
        [try call.add(RegexFullMatch(pattern: try scalarText(call, 1, "a pattern")), [try call.x(0)], "match")]
      },
      "StaticRegexFullMatch": { call in [try call.add(RegexFullMatch(pattern: try call.text("pattern")), [try call.x(0)], "match")] },
      "UnicodeTranscode": { call in
        let transcode = UnicodeTranscode(
          from: try encoding(call, "input_encoding"), to: try encoding(call, "output_encoding"), try unicodeErrors(call))
        return [try call.add(transcode, [try call.x(0)], "transcode")]
      },
      "EncodeBase64": { call in [try call.add(Base64Coding(try call.bool("pad") ? .encodePadded : .encode), [try call.x(0)], "base64")] },
      "DecodeBase64": { call in [try call.add(Base64Coding(.decode), [try call.x(0)], "base64")] },
      "DecodeRaw": { [try decodeRaw($0, width: -1)] },
      "DecodePaddedRaw": { [try decodeRaw($0, width: try $0.integer(1, "a length"))] },
      "UnsortedSegmentJoin": { [try segmentJoin($0)] },
    ])

  private static func unit(_ call: TFCall) throws -> StringUnit {
    switch try call.text("unit", "BYTE") {
    case "BYTE": .bytes
    case "UTF8_CHAR": .characters
    case let other: throw call.wrong("the unit \(KilnError.quoted(other)) is unknown")
    }
  }

  private static func isUTF8(_ call: TFCall) throws -> Bool {
    let encoding = try call.text("encoding", "").lowercased()
    guard encoding.isEmpty || encoding == "utf-8" || encoding == "utf8" else { throw call.unsupported("encoding \(KilnError.quoted(encoding))") }
    return !encoding.isEmpty
  }

  static func encoding(_ call: TFCall, _ key: String) throws -> UnicodeEncoding {
    let name = try call.text(key)
    switch name.uppercased() {
    case "UTF-8", "UTF8": return .utf8
    case "UTF-16-BE", "UTF-16BE": return .utf16
    case "UTF-32-BE", "UTF-32BE": return .utf32
    case "US-ASCII", "ASCII": throw call.unsupported("encoding \(KilnError.quoted(name)), of which bytes over 127 are no characters,")
    default: throw call.unsupported("encoding \(KilnError.quoted(name))")
    }
  }

  static func unicodeErrors(_ call: TFCall) throws -> UnicodeErrors {
    let name = try call.text("errors", "replace")
    guard let policy = UnicodeErrors.Policy(rawValue: name) else { throw call.wrong("errors \(KilnError.quoted(name)) is unknown") }
    return UnicodeErrors(
      policy, replacement: try call.int("replacement_char", 0xFFFD), controls: try call.bool("replace_control_characters"))
  }

  /// A text that must be known when the model is imported.
  static func scalarText(_ call: TFCall, _ index: Int, _ what: String) throws -> String {
    let tensor = try call.constant(index, what)
    guard tensor.dtype == .string, tensor.count == 1, let bytes = tensor.strings.first else { throw call.wrong("\(what) must be one text") }
    guard let text = bytes.text else { throw call.unsupported("\(what) that is not UTF-8") }
    return text
  }

  private static func bucket(_ call: TFCall, _ key: [Int]) throws -> ValueID {
    try call.add(StringToHashBucket(buckets: try call.int("num_buckets"), key: key), [try call.x(0)], "bucket")
  }

  private static func regexReplace(_ call: TFCall, _ pattern: String, _ rewrite: String) throws -> ValueID {
    let replace = try RegexReplace(pattern: pattern, rewrite: rewrite, global: try call.bool("replace_global", true))
    return try call.add(replace, [try call.x(0)], "replace")
  }

  /// Axes joined in the order in which they are listed: the elements along the first are neighbours.
  private static func reduceJoin(_ call: TFCall) throws -> ValueID {
    let x = try call.x(0), type = call.type(x)
    let axes = try call.integers(1, "axes").map { try call.axis($0, type.rank) }
    guard Set(axes).count == axes.count else { throw call.wrong("an axis is joined twice") }
    if axes.isEmpty { return x }
    let kept = (0..<type.rank).filter { !axes.contains($0) }
    let turned = try call.transpose(x, kept + axes.reversed())
    let flat = try call.reshape(turned, kept.map { type.dims[$0] } + [axes.map { type.dims[$0] }.reduce(1, *)])
    let joined = try call.add(ReduceJoin(separator: try call.text("separator", "")), [flat], "join")
    guard try call.bool("keep_dims") else { return joined }
    return try call.reshape(joined, (0..<type.rank).map { axes.contains($0) ? 1 : type.dims[$0] })
  }

  private static func decodeRaw(_ call: TFCall, width: Int) throws -> ValueID {
    let dtype = try call.dtype("out_type", .float32)
    guard let bytes = try call.dataType("out_type")?.storedBytes, bytes == dtype.byteCount else {
      throw call.unsupported("out_type \(try call.dataType("out_type")?.name ?? "")")
    }
    guard width < 0 || width % bytes == 0 else { throw call.wrong("its length \(width) is no multiple of \(bytes)") }
    let length = width < 0 ? call.dataSize() : Dim(width / bytes)
    return try call.dynamic(
      DecodeRaw(dtype, littleEndian: try call.bool("little_endian", true), width: width, [length]), [try call.x(0)], "decode")[0]
  }

  /// Texts with the same id joined.
  private static func segmentJoin(_ call: TFCall) throws -> ValueID {
    let (x, ids) = (try call.x(0), try call.x(1))
    guard call.type(x).rank == 1, call.type(ids).rank == 1 else { throw call.unsupported("a join of \(call.type(x).message)") }
    let count = try call.size(2, "a number of segments")
    return try call.add(SegmentJoin(separator: try call.text("separator", ""), count), [x, ids], "join")
  }
}
