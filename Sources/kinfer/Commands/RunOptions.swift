import ArgumentParser
import CommandSupport
import Kiln
import Training

extension DeviceOptions.Choice: ExpressibleByArgument {
  /// What an option says, else `KILN_DEVICE`; nil where neither says anything.
  static func asked(_ option: DeviceOptions.Choice?) throws -> DeviceOptions.Choice? {
    if let option { return option }
    guard let text = Console.variable("KILN_DEVICE"), !text.isEmpty else { return nil }
    guard let given = DeviceOptions.Choice(rawValue: text) else {
      throw KilnError(.usage, "KILN_DEVICE must be cpu, gpu or auto, found \(KilnError.quoted(text))")
    }
    return given
  }
}
extension DeviceOptions.Precision: ExpressibleByArgument {}

/// Options of every command that runs a model.
struct RunOptions: ParsableArguments {
  enum Weights: String, CaseIterable, ExpressibleByArgument { case f32, bf16, int8 }

  enum Backend: String, CaseIterable, ExpressibleByArgument { case tensorflow, theano, cntk }
  enum DataFormat: String, CaseIterable, ExpressibleByArgument { case channelsFirst = "channels_first", channelsLast = "channels_last" }

  @Argument(help: "A .kiln file, or a model file that kconv imports.")
  var model: String

  @Argument(help: ArgumentHelp("More data, as after --input (what a shell makes of *.png).", valueName: "file"))
  var files: [String] = []

  @Option(help: ArgumentHelp("Processor threads; all cores without it.", valueName: "n"))
  var threads: Int?

  @Option(
    help: ArgumentHelp(
      "The most memory that the results of one prediction may take (300M, 2G); what the machine has left without it.", valueName: "size"))
  var memoryLimit: ByteSize?

  @Option(help: ArgumentHelp(
    "How weights are kept in layers that take as long as reading them (large dense layers, up to 16 samples): f32, or bf16 and int8, which are faster and less exact; bench and profile print by how much.",
    valueName: "form"))
  var weights: Weights = .f32

  @Flag(help: "Leave weights where the model file has them, without a second, faster layout in memory. predict does so by itself for a few samples.")
  var lowMemory = false

  @Option(
    help: "Where the model runs: cpu, gpu (all of it, on any OpenCL device), or auto (on a GPU what it can and is worth it, the rest on the processor). auto, or what KILN_DEVICE says, without it.")
  var device: DeviceOptions.Choice?

  @Option(
    help: ArgumentHelp(
      "On a GPU or not: where a scope's nodes run; * stands for any text; repeatable.", valueName: "scope=cpu|gpu"))
  var place: [String] = []

  @Option(help: "How the GPU stores float32 values; it computes in float32.")
  var gpuPrecision: DeviceOptions.Precision = .fp32

  @Flag(help: "Import a foreign model file anew, and keep nothing of it.")
  var noCache = false

  @Option(help: "The backend of a Keras 1 or 2 file that does not say it.")
  var backend: Backend?

  @Option(help: "The order of image axes of Keras layers that do not say it.")
  var dataFormat: DataFormat?

  @Option(
    help: ArgumentHelp(
      "How the samples 0…255 of pictures are scaled: raw as they are (models that rescale by themselves), unit to 0…1, keras-* as keras.applications does.",
      valueName: "mode"))
  var imageMode: ImageMode = .raw

  @Option(
    help: ArgumentHelp(
      "What a Lambda layer, or a layer of an unknown class, computes: an expression over x such as 'x * 2 + 1'; repeatable.",
      valueName: "name=expr"))
  var replaceLayer: [String] = []

  @Option(
    help: ArgumentHelp("How long each sequence of an input is, in the order of the samples; without it all are as long as the input. NAME= may be left out when the model has one input.", valueName: "[name=]6,3"))
  var sequenceLengths: [String] = []

  func validate() throws {
    if let threads, !(1...1024).contains(threads) { throw ValidationError("--threads must be 1…1024, found \(threads)") }
  }

  /// Where the model runs, as options and environment say.
  private func deviceOptions() throws -> DeviceOptions {
    let choice = try DeviceOptions.Choice.asked(device)
    let placements = try place.map { text -> (String, DeviceOptions.Choice) in
      guard let equals = text.lastIndex(of: "="), let side = DeviceOptions.Choice(rawValue: String(text[text.index(after: equals)...])), side != .auto, equals > text.startIndex
      else { throw KilnError(.usage, "--place takes SCOPE=cpu or SCOPE=gpu, found \(KilnError.quoted(text))") }
      return (String(text[..<equals]), side)
    }
    if choice == .cpu, !placements.isEmpty || gpuPrecision != .fp32 {
      throw KilnError(.usage, "--place and --gpu-precision go with --device gpu or --device auto")
    }
    guard let choice = choice ?? (placements.isEmpty && gpuPrecision == .fp32 ? nil : .auto) else { return .standard { Console.note($0) } }
    return DeviceOptions(choice, precision: gpuPrecision, placements: placements) { Console.note($0) }
  }

  func load() throws -> Model {
    let importOptions =
      (backend.map { ["--backend", $0.rawValue] } ?? []) + (dataFormat.map { ["--data-format", $0.rawValue] } ?? [])
      + replaceLayer.flatMap { ["--replace-layer", $0] }
    let loaded = try ModelLocator(ignoresCache: noCache, importOptions: importOptions).load(model, Model.Options(
      threads: threads, memoryLimit: memoryLimit?.bytes, weights: Model.Options.Weights(rawValue: weights.rawValue) ?? .float32,
      lowMemory: lowMemory, device: try deviceOptions()))
    if let note = RunOptions.note(loaded.missingDevices) { Console.note(note) }
    return loaded
  }

  /// What a person should know about nodes that the file places where they cannot run.
  private static func note(_ missing: [String: Int]) -> String? {
    guard !missing.isEmpty else { return nil }
    let places = missing.sorted { $0.key < $1.key }.prefix(4).map { "\($0.value) for \(KilnError.escaped($0.key))" }
    let more = missing.count > 4 ? ", …" : ""
    return "note: the model has nodes for devices that are not here (\(places.joined(separator: ", "))\(more)); they run on the CPU"
  }

  /// Reads what `--input`, `--text` and further arguments name.
  func samples(_ input: [String], texts: [String] = [], for model: Model) throws -> Samples {
    try InputReader(inputs: model.inputs, imageMode: imageMode, sequenceLengths: sequenceLengths).read(input + files, texts: texts)
  }

  func hasInput(_ input: [String]) -> Bool { !(input + files).isEmpty }
}
