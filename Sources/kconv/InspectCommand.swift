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

  @Flag(help: "Show the tree of name scopes, each with the sums of all that lies in it.")
  var scopes = false

  @OptionGroup var origin: OriginOptions

  func validate() throws {
    if let depth, depth < 1 { throw ValidationError("--depth must be 1 or more, found \(depth)") }
  }

  func run() throws {
    var options = ImportOptions()
    origin.apply(to: &options)
    let (model, outcome) = try showingRefusal(options) {
      try Interruption.deferring {
        try ModelImport.loadWithOutcome(file, options: options, isolation: .ownChild(), isCancelled: { Interruption.isPending })
      }
    }
    let summary = ModelSummary(model, depth: scopes ? nil : depth)
    let tree = scopes ? InspectCommand.tree(summary).rows(depth: depth) : nil
    try Console.write(
      format == .json ? InspectCommand.json(summary, tree, outcome).text(indented: true) + "\n" : InspectCommand.text(summary, tree, outcome))
  }

  /// What `load` gives; of a file that cannot be imported, what is known is written before the reason is thrown.
  private func showingRefusal<Loaded>(_ options: ImportOptions, _ load: () throws -> Loaded) throws -> Loaded {
    do { return try load() } catch let error as KilnError {
      if error.code == .unsupportedModel || error.code == .badInput { try showRefused(options, error) }
      throw error
    }
  }

  /// The facts about a file that is refused, and what of it maps; nothing where nothing is known.
  private func showRefused(_ options: ImportOptions, _ error: KilnError) throws {
    let found = try? Interruption.deferring {
      try ModelImport.check(file, options: options, isolation: .ownChild(), isCancelled: { Interruption.isPending })
    }
    guard let found, !found.facts.isEmpty || !found.report.rows.isEmpty else { return }
    guard format == .text else {
      let rows = found.report.rows.map { row in
        JSON.object(
          JSONObject([
            ("layer", .string(row.layer)), ("class", .string(row.className)), ("status", .string(row.status.rawValue)), ("remark", .string(row.remark)),
            ("parameters", .int(row.parameters)), ("count", .int(row.count)),
          ]))
      }
      let object = JSONObject([("schema", .int(1)), ("refused", .string(error.line)), ("layers", .array(rows))])
      try Console.write(JSON.object(InspectCommand.adding(found, to: object)).text(indented: true) + "\n")
      return
    }
    let table = CheckTable(found.report, layerByLayer: false)
    let layers = found.report.rows.isEmpty ? "" : table.text(width: Console.width) + "\n" + table.totals + "\n"
    try Console.write(InspectCommand.facts(found, isRefused: true) + layers)
  }

  /// Facts and warnings as JSON.
  private static func adding(_ outcome: ImportOutcome, to object: JSONObject) -> JSONObject {
    var object = object
    object["facts"] = .array(
      outcome.facts.map {
        .object(JSONObject([("name", .string($0.name)), ("value", .string($0.value)), ("evidence", .string($0.evidence))]))
      })
    object["warnings"] = .array(outcome.warnings.map { .string($0.line) })
    return object
  }

  private static func tree(_ summary: ModelSummary) -> ScopeTree {
    var tree = ScopeTree(width: 2)
    for row in summary.rows { tree.add(row.name, nodes: row.nodes, [row.parameters, row.flops ?? 0]) }
    return tree
  }

  private static func json(_ summary: ModelSummary, _ tree: [ScopeTree.Row]?, _ outcome: ImportOutcome?) -> JSON {
    guard case .object(var object) = summary.json else { return summary.json }
    if let outcome { object = adding(outcome, to: object) }
    guard let tree else { return .object(object) }
    let isKnown = summary.flops != nil
    object["scopes"] = .array(
      tree.map { row in
        .object(
          JSONObject([
            ("scope", .string(row.path)), ("nodes", .int(row.nodes)), ("parameters", .int(row.sums[0])),
            ("flops", isKnown ? .int(row.sums[1]) : .null),
          ]))
      })
    return .object(object)
  }

  /// What was found out and assumed, each with its evidence.
  private static func facts(_ outcome: ImportOutcome, isRefused: Bool = false) -> String {
    var table = TextTable(["fact", "value", "evidence"])
    for fact in outcome.facts { table.add([fact.name, KilnError.escaped(fact.value), fact.evidence]) }
    for warning in outcome.warnings { table.add(["assumed", "", warning.line]) }
    if !isRefused, outcome.warnings.isEmpty, !outcome.facts.contains(where: { $0.name.hasPrefix("assumed") }) {
      table.add(["assumed", "nothing", "the file says all that was asked"])
    }
    return table.text(width: Console.width) + "\n"
  }

  private static func text(_ summary: ModelSummary, _ tree: [ScopeTree.Row]?, _ outcome: ImportOutcome?) -> String {
    let graph = summary.model.graph
    var out = "model \(KilnError.quoted(graph.name))\n\n" + (outcome.map { facts($0) } ?? "")
    let known = Set((outcome?.facts ?? []).map(\.value))
    for (key, value) in graph.metadata.sorted(by: { $0.key < $1.key }) where !known.contains(value) {
      out += "\(KilnError.escaped(key)): \(KilnError.escaped(value))\n"
    }
    out += "\n"
    for input in graph.inputs { out += "input  \(KilnError.escaped(graph[input].name)): \(graph.type(of: input).message)\n" }
    for output in graph.outputs { out += "output \(KilnError.escaped(output.name)): \(graph.type(of: output.value).message)\n" }
    for state in graph.states {
      out += "state  \(KilnError.escaped(graph[state.value].name)): \(graph.type(of: state.value).message)\n"
    }
    for (device, nodes) in graph.deviceCounts.sorted(by: { $0.key < $1.key }) {
      out += "device \(KilnError.escaped(device)): \(nodes) nodes\n"
    }
    out += "\n" + (tree.map { table($0, hasWork: summary.flops != nil) } ?? table(summary))
    let lengths = summary.bindings.map { "\(KilnError.escaped($0.symbol)) \($0.length)" }.joined(separator: ", ")
    out += "\n\(NumberText.grouped(summary.parameters)) parameters"
    if let flops = summary.flops {
      let number = NumberText.scaled(flops)
      out += ", \(number)\(number.last?.isNumber == true ? " " : "")FLOPs" + (lengths.isEmpty ? "" : " for \(lengths)")
    }
    return out + "\n" + training(summary)
  }

  private static func table(_ summary: ModelSummary) -> String {
    let hasDevices = summary.rows.contains { !$0.devices.isEmpty }
    var table = TextTable(["parameters", "FLOPs", "output", "layer", "ops"] + (hasDevices ? ["device"] : []), rightAligned: 2)
    for row in summary.rows {
      let device = hasDevices ? [row.devices.map { KilnError.escaped($0) }.joined(separator: " ")] : []
      table.add(
        [
          NumberText.grouped(row.parameters), row.flops.map(NumberText.scaled) ?? "?", row.output.message,
          KilnError.escaped(row.name), row.ops.joined(separator: " "),
        ] + device)
    }
    return table.text(width: Console.width)
  }

  private static func table(_ tree: [ScopeTree.Row], hasWork: Bool) -> String {
    var table = TextTable(["parameters", "FLOPs", "nodes", "scope"], rightAligned: 3)
    for row in tree {
      table.add([
        NumberText.grouped(row.sums[0]), hasWork ? NumberText.scaled(row.sums[1]) : "?", NumberText.grouped(row.nodes),
        String(repeating: "  ", count: row.level) + KilnError.escaped(row.name),
      ])
    }
    return table.text
  }

  private static func training(_ summary: ModelSummary) -> String {
    guard let training = TrainingSummary(summary.model) else { return "\nno training configuration\n" }
    var out = ""
    for (what, text) in [("optimizer", training.optimizer), ("loss", training.loss), ("metrics", training.metrics)] {
      if let text { out += "\n\(what): \(KilnError.escaped(text))" }
    }
    out += "\n\(training.variables.count) optimizer variables\n"
    for variable in training.variables { out += "  \(KilnError.escaped(variable.name)) \(variable.type)\n" }
    return out
  }
}
