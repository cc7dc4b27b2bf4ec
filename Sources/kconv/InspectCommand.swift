import ArgumentParser
import CommandSupport
import Kiln
import KilnImport

struct InspectCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "inspect", abstract: "Shows a model's layers, shapes, parameters and work.")

  enum Form: String, CaseIterable, ExpressibleByArgument { case text, json }

  @Argument(help: "A .kiln file, or a model file to import for this.")
  var file: String

  @Option(help: "The form of the summary.")
  var format: Form = .text

  @Option(help: ArgumentHelp("Fold layers that lie deeper than this.", valueName: "n"))
  var depth: Int?

  @OptionGroup var origin: OriginOptions

  func validate() throws {
    if let depth, depth < 1 { throw ValidationError("--depth must be 1 or more, found \(depth)") }
  }

  func run() throws {
    var options = ImportOptions()
    origin.apply(to: &options)
    let model = try Interruption.deferring {
      try ModelImport.load(file, options: options, isolation: .ownChild(), isCancelled: { Interruption.isPending })
    }
    let summary = ModelSummary(model, depth: depth)
    try Console.write(format == .json ? summary.json.text(indented: true) + "\n" : InspectCommand.text(summary))
  }

  private static func text(_ summary: ModelSummary) -> String {
    let graph = summary.model.graph
    var out = "model \(KilnError.quoted(graph.name))\n"
    for (key, value) in graph.metadata.sorted(by: { $0.key < $1.key }) {
      out += "\(KilnError.escaped(key)): \(KilnError.escaped(value))\n"
    }
    out += "\n"
    for input in graph.inputs { out += "input  \(KilnError.escaped(graph[input].name)): \(graph.type(of: input).message)\n" }
    for output in graph.outputs { out += "output \(KilnError.escaped(output.name)): \(graph.type(of: output.value).message)\n" }
    for state in graph.states {
      out += "state  \(KilnError.escaped(graph[state.value].name)): \(graph.type(of: state.value).message)\n"
    }
    let devices = Dictionary(grouping: graph.nodes.map(\.device).filter { !$0.isEmpty }) { $0 }
    for (device, nodes) in devices.sorted(by: { $0.key < $1.key }) {
      out += "device \(KilnError.escaped(device)): \(nodes.count) nodes\n"
    }
    out += "\n"
    var table = TextTable(["parameters", "FLOPs", "output", "layer", "ops"], rightAligned: 2)
    for row in summary.rows {
      table.add([
        NumberText.grouped(row.parameters), row.flops.map(NumberText.scaled) ?? "?", row.output.message,
        KilnError.escaped(row.name), row.ops.joined(separator: " "),
      ])
    }
    out += table.text
    let lengths = summary.bindings.map { "\(KilnError.escaped($0.symbol)) \($0.length)" }.joined(separator: ", ")
    out += "\n\(NumberText.grouped(summary.parameters)) parameters"
    if let flops = summary.flops { out += ", \(NumberText.scaled(flops))FLOPs" + (lengths.isEmpty ? "" : " for \(lengths)") }
    return out + "\n" + training(summary)
  }

  private static func training(_ summary: ModelSummary) -> String {
    guard let training = TrainingSummary(summary.model) else { return "" }
    var out = ""
    for (what, text) in [("optimizer", training.optimizer), ("loss", training.loss), ("metrics", training.metrics)] {
      if let text { out += "\n\(what): \(KilnError.escaped(text))" }
    }
    out += "\n\(training.variables.count) optimizer variables\n"
    for variable in training.variables { out += "  \(KilnError.escaped(variable.name)) \(variable.type)\n" }
    return out
  }
}
