import GraphModule
import TensorModule

extension TFOpCatalog {
  /// Pictures and sound in files of their own formats, as texts of bytes.
  static let media = Family(
    "Pictures and sound in files",
    [
      "DecodePng": { [try picture($0, .pngOrJPEG)] }, "DecodeJpeg": { [try picture($0, .pngOrJPEG)] },
      "DecodeBmp": { [try picture($0, .bmp)] }, "DecodeImage": { [try picture($0, .any)] },
      "DecodeWav": { call in
        let (channels, count) = (try call.int("desired_channels", -1), try call.int("desired_samples", -1))
        let dims = [count < 0 ? call.dataSize() : Dim(count), channels < 0 ? call.dataSize() : Dim(channels)]
        return try call.dynamic(DecodeWav(channels: channels, count: count, dims), [try call.x(0)], "decode")
      },
      "DecodeCSV": { call in
        let csv = DecodeCSV(
          delimiter: try call.text("field_delim", ","), quotes: try call.bool("use_quote_delim", true),
          missing: try call.text("na_value", ""), columns: try call.ints("select_cols", []))
        return try call.addAll(csv, try call.all(), "decode")
      },
    ])

  private static func picture(_ call: TFCall, _ format: DecodePicture.Format) throws -> ValueID {
    let samples: DecodePicture.Samples
    switch try call.dataType("dtype")?.number ?? 4 {
    case 4: samples = .bytes
    case 17: samples = .words
    case 1: samples = .unit
    default: throw call.unsupported("dtype \(try call.dataType("dtype")?.name ?? "")")
    }
    let channels = try call.int("channels", 0)
    let method = try call.text("dct_method", "")
    guard ["", "INTEGER_FAST", "INTEGER_ACCURATE"].contains(method) else { throw call.wrong("dct_method \(KilnError.quoted(method)) is unknown") }
    guard try !call.bool("try_recover_truncated") else { throw call.unsupported("try_recover_truncated") }
    let decode = DecodePicture(
      format, samples, channels: channels, ratio: try call.int("ratio", 1), fancyUpscaling: try call.bool("fancy_upscaling", true),
      fastTransform: method != "INTEGER_ACCURATE", dims: [call.dataSize(), call.dataSize(), channels == 0 ? call.dataSize() : Dim(channels)])
    return try call.dynamic(decode, [try call.x(0)], "decode")[0]
  }
}
