import ArgumentParser
import CommandSupport
import Kiln

struct PredictCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "predict", abstract: "Runs a model on data and prints or writes its outputs.",
    discussion: """
      Inputs: .npy, .npz (arrays by input name), .json (nested lists, or an object of them by input name), .csv (a sample \
      a row), .jsonl (a sample a line), .txt (a text a line), .png and .jpg pictures or a folder of them (resized to the model's input).
      The first axis counts samples; a missing one is an error, never guessed.
      """)

  @OptionGroup var options: RunOptions

  @Option(help: ArgumentHelp("Data of one input; NAME= may be left out when the model has one.", valueName: "[name=]file"))
  var input: [String] = []

  @Option(help: ArgumentHelp("A sample of an input of strings; repeated for more.", valueName: "[name=]text"))
  var text: [String] = []

  @Option(help: ArgumentHelp("Where the outputs go: .npz (all, by name), .npy, .json, or - for stdout.", valueName: "file"))
  var output: String?

  @Option(help: ArgumentHelp("The form of the outputs; text is cut to what a person reads.", valueName: "form"))
  var format: OutputFormat?

  @Option(help: ArgumentHelp("Show the k greatest classes of each sample instead of all values.", valueName: "k"))
  var top: Int?

  @Option(help: ArgumentHelp("Class names: one a line, or JSON.", valueName: "file"))
  var labels: String?

  @Option(help: ArgumentHelp("Samples that run at once.", valueName: "n"))
  var batchSize: Int?

  @Flag(help: "Let a stateful model begin each batch afresh; without it the state goes from batch to batch, as in Keras.")
  var resetStates = false

  func validate() throws {
    if let top, top < 1 { throw ValidationError("--top must be 1 or more, found \(top)") }
    if let batchSize, batchSize < 1 { throw ValidationError("--batch-size must be 1 or more, found \(batchSize)") }
    if labels != nil, top == nil { throw ValidationError("--labels goes with --top") }
  }

  func run() throws {
    let format = try OutputFormat.chosen(output: output, format: format)
    if top != nil, format == .npy || format == .npz {
      throw KilnError(.usage, "--top gives text or JSON, not .\(format.rawValue)")
    }
    let given = try labels.map { try Labels(path: $0) }
    let model = try options.load()
    let writer = OutputWriter(path: output, format: format, top: top, labels: given ?? Labels(of: model))
    let samples = try options.samples(input, texts: text, for: model)
    let batches = try Batches(model: model, samples: samples, size: batchSize, resetsStates: resetStates)
    model.expect(predictions: batches.count)
    try writer.write(try batches.predict())
  }
}
