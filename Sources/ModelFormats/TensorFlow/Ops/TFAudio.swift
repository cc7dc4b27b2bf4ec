import GraphModule
import TensorModule

extension TFOpCatalog {
  /// Spectrograms of sound.
  static let audio = Family("Sound", ["AudioSpectrogram": { [try spectrogram($0)] }, "Mfcc": { [try cepstrum($0)] }])

  /// [samples, channels] as [channels, frames, frequencies]: Hann windows, padded to a power of two, and their power.
  private static func spectrogram(_ call: TFCall) throws -> ValueID {
    let x = try call.x(0)
    let (window, stride) = (try call.int("window_size"), try call.int("stride"))
    guard call.type(x).rank == 2, (2...1 << 20).contains(window), (1...1 << 24).contains(stride) else { throw call.wrong("its operand, window or stride is out of range") }
    let samples = try call.length(x, 0)
    let frames = samples < window ? 0 : (samples - window) / stride + 1
    var size = 1
    while size < window { size *= 2 }
    guard let places = checkedProduct([frames, window]), places <= 1 << 24 else { throw call.unsupported("so long a sound") }
    let lines = try call.cast(try call.transpose(x, [1, 0]), .float64)
    let picks = (0..<places).map { Double($0 / window * stride + $0 % window) }
    let cut = try call.add(Gather(axis: 1), [lines, try call.numbers(picks, [frames, window], .int32, "frames")], "frames")
    let hann = try SignalWindow.values(named: "hann", window, periodic: true)
    let wide = try resized(call, try call.binary(.mul, cut, try call.numbers(hann, [window], .float64, "window")), 2, size)
    let zero = try call.broadcast(try call.scalar(0, .float64), call.type(wide).dims)
    let parts = try call.addAll(FourierTransform(inverse: false), [wide, zero], "fft").map { try call.slice($0, axis: 2, nil, size / 2 + 1) }
    var power = try call.binary(.add, try call.unary(.square, parts[0]), try call.unary(.square, parts[1]))
    if try !call.bool("magnitude_squared") { power = try call.unary(.sqrt, power) }
    return try call.cast(power, .float32)
  }

  /// The cepstrum on the mel scale of a spectrogram of powers.
  private static func cepstrum(_ call: TFCall) throws -> ValueID {
    let x = try call.x(0)
    let rate = try call.number(1, "a sample rate")
    let bins = try call.length(x, -1)
    let (channels, count) = (try call.int("filterbank_channel_count", 40), try call.int("dct_coefficient_count", 13))
    let (low, high) = (try call.float("lower_frequency_limit", 20), try call.float("upper_frequency_limit", 4000))
    guard rate > 0, bins >= 2, bins <= 1 << 20, channels <= 1 << 12, bins * channels <= 1 << 22, rate.isFinite, high.isFinite, (1...1 << 12).contains(channels), (1...channels).contains(count), low >= 0, high > low else {
      throw call.wrong("its rate, limits or counts are out of range")
    }
    let amplitude = try call.unary(.sqrt, try call.cast(x, .float64))
    let weights = try melWeights(call, bins, rate, channels, low, high)
    let mel = try call.add(MatMul(), [amplitude, try call.numbers(weights, [bins, channels], .float64, "mel")], "mel")
    let logs = try call.unary(.log, try call.binary(.max, mel, try call.scalar(1e-12, .float64)))
    let scale = (2 / Double(channels)).squareRoot()
    let cosines = (0..<channels * count).map { index -> Double in
      scale * ScalarFunction.cos.evaluate(Double.pi / Double(channels) * Double(index % count) * (Double(index / count) + 0.5))
    }
    let result = try call.add(MatMul(), [logs, try call.numbers(cosines, [channels, count], .float64, "dct")], "dct")
    return try call.cast(result, .float32)
  }

  /// Triangles over the bins, evenly spaced on the mel scale: [bins, channels]. A bin weighs in at most two channels.
  private static func melWeights(_ call: TFCall, _ bins: Int, _ rate: Double, _ channels: Int, _ low: Double, _ high: Double) throws -> [Double] {
    func mel(_ frequency: Double) -> Double { 1127 * ScalarFunction.log1p.evaluate(frequency / 700) }
    let step = (mel(high) - mel(low)) / Double(channels + 1)
    let centers = (0...channels).map { mel(low) + step * Double($0 + 1) }
    let width = 0.5 * rate / Double(bins - 1)
    let (first, last) = (Int(min(1.5 + low / width, 1e9)), Int(min(high / width, 1e9)))
    guard last < bins else { throw call.wrong("the frequency \(high) is above what the spectrogram has") }
    var weights = [Double](repeating: 0, count: bins * channels)
    var channel = 0
    for bin in first..<max(last + 1, first) {
      let place = mel(Double(bin) * width)
      while channel < channels, centers[channel] < place { channel += 1 }
      // The share of the triangle that falls; the rest belongs to the one that rises.
      let falling =
        channel == 0
        ? (centers[0] - place) / (centers[0] - mel(low)) : (centers[channel] - place) / (centers[channel] - centers[channel - 1])
      if channel > 0 { weights[bin * channels + channel - 1] += falling }
      if channel < channels { weights[bin * channels + channel] += 1 - falling }
    }
    return weights
  }
}
