import GraphModule
import TensorModule

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// Keras `MelSpectrogram`: the power of a signal in bands of the mel scale, [..., bands, time].
struct MelSpectrogram: KerasLayerReader {
  let size: Int
  let step: Int
  let length: Int
  let window: [Double]?
  let samplingRate: Double
  let bands: Int
  let lowest: Double
  let highest: Double
  let decibels: Bool
  let range: Double
  let exponent: Double
  let least: Double
  let reference: Double

  init(_ config: LayerConfig) {
    size = config.int("fft_length", 2048, in: 2...1 << 20)
    step = config.int("sequence_stride", 512, in: 1...1 << 24)
    length = config.int("sequence_length", size, in: 1...1 << 20)
    samplingRate = config.double("sampling_rate", 16000)
    bands = config.int("num_mel_bins", 128, in: 1...1 << 14)
    lowest = config.double("min_freq", 20)
    highest = config.optionalDouble("max_freq") ?? (samplingRate / 2).rounded(.towardZero)
    decibels = config.bool("power_to_db", true)
    range = config.double("top_db", 80)
    exponent = config.double("mag_exp", 2)
    least = config.double("min_power", 1e-10)
    reference = config.double("ref_power", 1)
    window = SpectrogramWindow.read(config, length, periodic: true)
    if length > size { config.malformed("sequence_length \(length) is over fft_length \(size)") }
  }

  func call(_ call: LayerCall) throws -> [KerasTensor] {
    var x = try call.floatInput()
    let rank = call.type(x).rank
    guard (1...2).contains(rank) else { throw KilnError(.badInput, "needs an input of rank 1 or 2, found \(call.type(x).message)") }
    guard let window else { throw KilnError(.unsupportedModel, "this window is not supported") }
    let low = (size - length) / 2
    let wide = [Double](repeating: 0, count: low) + window + [Double](repeating: 0, count: size - length - low)
    var (before, after) = ([Int](repeating: 0, count: rank), [Int](repeating: 0, count: rank))
    (before[rank - 1], after[rank - 1]) = (size / 2, size / 2)
    x = try call.add(Pad(.reflect, low: before, high: after), [x], "pad")
    let function = FunctionCall(call, .keras, "MelSpectrogram", positional: [], named: [])
    let (real, imaginary) = try FunctionCatalog.spectrum(function, x, wide, step: step, size: size)
    let power = try call.binary(.add, try call.unary(.square, real), try call.unary(.square, imaginary))
    let dtype = call.type(x).dtype
    var y = power
    if exponent != 2 { y = try call.binary(.pow, try call.unary(.sqrt, power), try call.scalar(exponent, dtype)) }
    let bins = size / 2 + 1
    let dims = call.type(y).dims
    let matrix = call.constant(try Tensor(converting: weights(bins), to: dtype, shape: [bins, bands]), "mel")
    let flat = try call.reshape(y, [Array(dims.dropLast()).reduce(1, *), Dim(bins)])
    y = try call.reshape(try call.add(MatMul(), [flat, matrix], "mel_bands"), Array(dims.dropLast()) + [Dim(bands)])
    if decibels {
      let logs = try call.unary(.log10, try call.binary(.max, y, try call.scalar(least, dtype)))
      y = try call.unary(.affine, [10, -10 * log10(max(abs(reference), least))], logs)
      // The loudest of the whole batch sets the floor, as in Keras.
      let loudest = try call.add(Reduce(.max, axes: Array(call.type(y).dims.indices), keepDims: false), [y], "loudest")
      y = try call.binary(.max, y, try call.unary(.affine, [1, -range], loudest))
    }
    let order = Array(0..<call.type(y).rank - 2) + [call.type(y).rank - 1, call.type(y).rank - 2]
    return [KerasTensor(try call.transpose(y, order))]
  }

  /// Triangles that are linear on the mel scale, [bins, bands]; the first bin takes no part.
  private func weights(_ bins: Int) -> [Double] {
    func mel(_ hertz: Double) -> Double { 1127 * log(1 + hertz / 700) }
    let (first, last) = (mel(lowest), mel(highest))
    let edges = (0..<bands + 2).map { first + (last - first) * Double($0) / Double(bands + 1) }
    var result = [Double](repeating: 0, count: bins * bands)
    for bin in 1..<max(bins, 2) {
      let place = mel(samplingRate / 2 * Double(bin) / Double(bins - 1))
      for band in 0..<bands {
        let rising = (place - edges[band]) / (edges[band + 1] - edges[band])
        let falling = (edges[band + 2] - place) / (edges[band + 2] - edges[band + 1])
        result[bin * bands + band] = max(0, min(rising, falling))
      }
    }
    return result
  }
}

/// The window in a spectrogram layer's configuration.
enum SpectrogramWindow {
  /// A name or numbers; nil, with the problem noted, when it is neither.
  static func read(_ config: LayerConfig, _ length: Int, periodic: Bool) -> [Double]? {
    guard let value = config.json("window") else {
      return config.has("window") ? [Double](repeating: 1, count: length) : try? SignalWindow.values(named: "hann", length, periodic: periodic)
    }
    if let name = value.stringValue {
      if let values = try? SignalWindow.values(named: name, length, periodic: periodic) { return values }
      config.unsupported("window \(KilnError.quoted(name))", nearest: "hann, hamming")
      return nil
    }
    guard let array = NumberArray(value), array.values.count == length else {
      config.malformed("window must be a name or \(length) numbers")
      return nil
    }
    return array.values
  }
}

/// Keras `STFTSpectrogram`: a convolution with stored waves for each channel, and what is made of both parts.
struct STFTSpectrogram: KerasLayerReader {
  private enum Mode: String, CaseIterable { case log, magnitude, psd, real, imag, angle, stft }

  private let mode: Mode
  private let length: Int
  private let step: Int
  private let size: Int
  private let padding: Padding
  private let expands: Bool
  private let format: DataFormat

  init(_ config: LayerConfig) {
    mode = config.choice("mode", .log)
    length = config.int("frame_length", 256, in: 1...1 << 20)
    step = config.int("frame_step", max(length / 2, 1), in: 1...1 << 20)
    var power = 1
    while power < length { power *= 2 }
    size = config.int("fft_length", power, in: 1...1 << 20)
    let name = config.string("padding", "valid")
    padding = name == "same" ? .same : .valid
    if name != "same" && name != "valid" { config.unsupported("padding \(KilnError.quoted(name))", nearest: "valid, same") }
    expands = config.bool("expand_dims", false)
    format = config.choice("data_format", .channelsLast)
    // The waves are weights, so that these say nothing more.
    config.ignore("window", "periodic", "scaling")
  }

  var weights: [WeightSlot] {
    (mode != .imag ? [WeightSlot("real_kernel")] : []) + (mode != .real ? [WeightSlot("imag_kernel")] : [])
  }

  func call(_ call: LayerCall) throws -> [KerasTensor] {
    let x = try call.floatInput()
    guard call.type(x).rank == 3 else { throw KilnError(.badInput, "needs an input of rank 3, found \(call.type(x).message)") }
    let first = format == .channelsFirst ? x : try call.transpose(x, [0, 2, 1])
    let dims = call.type(first).dims
    let bins = size / 2 + 1
    // [batch, channels, time, bins]
    func part(_ name: String) throws -> ValueID {
      let kernel = try call.weight(name, [length, 1, bins])
      let signal = try call.reshape(first, [dims[0] * dims[1], dims[2], 1])
      let found = try call.add(Conv(strides: [step], dilations: [1], padding: padding, groups: 1), [signal, kernel], name)
      return try call.reshape(found, [dims[0], dims[1], call.type(found).dims[1], Dim(bins)])
    }
    let dtype = call.type(x).dtype
    let least = try call.scalar(1e-7, dtype)
    var y: ValueID
    switch mode {
    case .real: y = try part("real_kernel")
    case .imag: y = try part("imag_kernel")
    case .angle: y = try call.binary(.atan2, try part("imag_kernel"), try part("real_kernel"))
    case .stft: y = try call.add(Concat(axis: 3), [try part("real_kernel"), try part("imag_kernel")], "parts")
    case .psd, .magnitude, .log:
      y = try call.binary(.add, try call.unary(.square, try part("real_kernel")), try call.unary(.square, try part("imag_kernel")))
      if mode == .psd {
        // The inner bins stand for their mirror images too.
        let scale = (0..<bins).map { $0 == 0 || $0 == bins - 1 ? 1.0 : 2.0 }
        y = try call.binary(.mul, y, call.constant(try Tensor(converting: scale, to: dtype, shape: [bins]), "sides"))
      } else {
        y = try call.unary(.sqrt, try call.binary(.max, y, least))
        if mode == .log { y = try call.unary(.log, try call.binary(.max, y, least)) }
      }
    }
    let shape = call.type(y).dims
    if expands { return [KerasTensor(format == .channelsFirst ? y : try call.transpose(y, [0, 2, 3, 1]))] }
    if format == .channelsFirst {
      return [KerasTensor(try call.reshape(try call.transpose(y, [0, 1, 3, 2]), [shape[0], shape[1] * shape[3], shape[2]]))]
    }
    return [KerasTensor(try call.reshape(try call.transpose(y, [0, 2, 1, 3]), [shape[0], shape[2], shape[1] * shape[3]]))]
  }
}
