import ArgumentParser
import CommandSupport
import Kiln
import TensorModule
import Training

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

struct TrainCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "train", abstract: "Trains a model of Keras further on data of your own, and writes it back.",
    discussion: """
      Loss, optimizer and its state, and metrics are the file's own unless options say otherwise. Data: .npz with x and y, a folder \
      with a sub-folder of pictures for each class, .csv with a column of targets, .tfrecord. The written .h5 or .keras opens in Keras, \
      which trains on from there.
      """)

  @Argument(help: "A Keras file, or a .kiln of one.")
  var model: String

  @OptionGroup var data: TrainDataOptions
  @OptionGroup var choices: TrainChoices

  @Option(name: [.short, .long], help: ArgumentHelp("The tuned model: .kiln, .h5 or .keras.", valueName: "file"))
  var out: String

  @Flag(help: "Replace an existing file.")
  var force = false

  @Option(parsing: .unconditional, help: "Passes over the data.")
  var epochs = 1

  @Option(parsing: .unconditional, help: ArgumentHelp("End when the validation loss got no better for so many epochs; the best weights are kept.", valueName: "epochs"))
  var earlyStopping: Int?

  @Option(help: ArgumentHelp("Keep checkpoints in this folder.", valueName: "folder"))
  var checkpoint: String?

  @Option(parsing: .unconditional, help: ArgumentHelp("Steps between checkpoints; without it one after each epoch.", valueName: "steps"))
  var every: Int?

  @Flag(help: "Go on from the last checkpoint.")
  var resume = false

  @Option(help: ArgumentHelp("Write event files for TensorBoard.", valueName: "folder"))
  var logDir: String?

  @Option(help: "What stdout gets: text, or json with a line for each epoch.")
  var format: Format = .text

  enum Format: String, CaseIterable, ExpressibleByArgument { case text, json }

  func validate() throws {
    if epochs < 1 { throw ValidationError("--epochs must be 1 or more, found \(epochs)") }
    if let every, every < 1 { throw ValidationError("--every must be 1 or more, found \(every)") }
    if resume || every != nil, checkpoint == nil { throw ValidationError("--resume and --every go with --checkpoint") }
    if let earlyStopping, earlyStopping < 0 { throw ValidationError("--early-stopping must be 0 or more, found \(earlyStopping)") }
    if [".kiln", ".h5", ".keras"].allSatisfy({ !out.hasSuffix($0) }) { throw ValidationError("--out must end in .kiln, .h5 or .keras") }
  }

  func run() throws {
    if !force, access(out, F_OK) == 0 { throw KilnError(.failed, "exists", at: [out], hint: "--force replaces it") }
    // What cannot be written at the end is said before the work.
    let place = out.lastIndex(of: "/").map { out[...$0] } ?? "."
    guard access(String(place), W_OK | X_OK) == 0 else { throw KilnError(.failed, FileError.message("cannot be written"), at: [out]) }
    let folder = try PrivateFolder.system()
    let files = TrainingFiles(folder: folder.path)
    let tuning = try FineTuning(contentsOf: try files.imported(model, newHead: choices.newHead, seed: choices.seed, loss: choices.lossExpression), options: try choices.options())
    if let problem = tuning.stateProblem { Console.note("note: the optimizer starts afresh: \(problem)") }
    let (source, validation) = try data.sources(for: tuning.form, seed: UInt64(choices.seed), threads: choices.threads)
    tuning.classNames = source.classNames ?? tuning.classNames
    try TrainingRunner(command: self, tuning: tuning, source: source, validation: validation).run()
    try files.write(tuning, to: out, force: force)
    if format == .text { try Console.write("\(out)\n") }
    withExtendedLifetime(folder) {}
  }
}
