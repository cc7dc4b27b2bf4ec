import ArgumentParser
import CommandSupport
import Kiln

struct ProfileCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "profile", abstract: "Shows where the time of a prediction goes, node by node.")

  enum Form: String, CaseIterable, ExpressibleByArgument { case text, json }

  @OptionGroup var options: RunOptions

  @Option(help: ArgumentHelp("Samples that run at once.", valueName: "n"))
  var batch = 1

  @Option(help: ArgumentHelp("Data of one input; drawn from a fixed seed without it.", valueName: "[name=]file"))
  var input: [String] = []

  @Option(help: ArgumentHelp("Runs; each node's best time counts.", valueName: "n"))
  var repeats = 10

  @Option(help: "The form of the table.")
  var format: Form = .text

  func validate() throws {
    if batch < 1 { throw ValidationError("--batch must be 1 or more, found \(batch)") }
    if repeats < 1 { throw ValidationError("--repeats must be 1 or more, found \(repeats)") }
  }

  func run() throws {
    let model = try options.load()
    let samples = options.hasInput(input) ? try options.samples(input, for: model) : nil
    let profile = try model.profile(BenchInputs(model.inputs).tensors(batch: model.stateBatch ?? batch, from: samples), repeats: repeats)
    try Console.write(format == .json ? ProfileCommand.json(profile).text() + "\n" : ProfileCommand.text(profile))
  }

  private static func json(_ profile: Profile) -> JSON {
    let nodes = profile.nodes.map { node in
      JSON.object(
        JSONObject([
          ("name", .string(node.name)), ("scope", .string(node.scope)), ("op", .string(node.op)),
          ("kernel", .string(node.kernel)), ("output", .string(node.outputType)), ("flops", .int(node.flops)),
          ("bytes", .int(node.bytes)), ("ns", .int(node.nanoseconds)),
        ]))
    }
    return .object(
      JSONObject([
        ("schema", .int(1)), ("nodes", .array(nodes)), ("arena_bytes", .int(profile.arenaBytes)),
        ("packed_weight_bytes", .int(profile.packedWeightBytes)),
      ]))
  }

  private static func text(_ profile: Profile) -> String {
    let total = max(1, profile.nodes.reduce(0) { $0 + $1.nanoseconds })
    var table = TextTable(["us", "%", "GFLOP/s", "op", "kernel", "output", "name"], rightAligned: 3)
    for node in profile.nodes where node.nanoseconds > 0 {
      table.add([
        NumberText.format(Double(node.nanoseconds) / 1e3, "%.1f"),
        NumberText.format(100 * Double(node.nanoseconds) / Double(total), "%.1f"),
        NumberText.format(Double(node.flops) / Double(node.nanoseconds), "%.1f"), node.op, node.kernel, node.outputType,
        KilnError.escaped(node.name),
      ])
    }
    return table.text + "total \(NumberText.format(Double(total) / 1e3, "%.1f")) us; "
      + "intermediate results \(profile.arenaBytes >> 10) KiB, packed weights \(profile.packedWeightBytes >> 10) KiB\n"
  }
}
