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

  @Flag(help: "Sum over name scopes instead of listing nodes.")
  var scopes = false

  @Option(help: ArgumentHelp("With --scopes: fold scopes that lie deeper than this.", valueName: "n"))
  var depth: Int?

  @Option(help: "The form of the table.")
  var format: Form = .text

  func validate() throws {
    if batch < 1 { throw ValidationError("--batch must be 1 or more, found \(batch)") }
    if let depth, depth < 1 || !scopes { throw ValidationError("--depth must be 1 or more, and goes with --scopes") }
    if repeats < 1 { throw ValidationError("--repeats must be 1 or more, found \(repeats)") }
  }

  func run() throws {
    let model = try options.load()
    let samples = options.hasInput(input) ? try options.samples(input, for: model) : nil
    let profile = try model.profile(BenchInputs(model.inputs).tensors(batch: model.stateBatch ?? batch, from: samples), repeats: repeats)
    let tree = scopes ? ProfileCommand.tree(profile).rows(depth: depth) : nil
    try Console.write(format == .json ? ProfileCommand.json(profile, tree).text() + "\n" : ProfileCommand.text(profile, tree))
  }

  private static func tree(_ profile: Profile) -> ScopeTree {
    var tree = ScopeTree(width: 2)
    for node in profile.nodes { tree.add(node.scope.isEmpty ? node.name : node.scope, nodes: 1, [node.nanoseconds, node.flops]) }
    return tree
  }

  private static func json(_ profile: Profile, _ tree: [ScopeTree.Row]?) -> JSON {
    let nodes = profile.nodes.map { node in
      JSON.object(
        JSONObject([
          ("name", .string(node.name)), ("scope", .string(node.scope)), ("op", .string(node.op)),
          ("device", .string(node.device)), ("kernel", .string(node.kernel)), ("output", .string(node.outputType)), ("flops", .int(node.flops)),
          ("bytes", .int(node.bytes)), ("ns", .int(node.nanoseconds)),
        ]))
    }
    var object = JSONObject([
      ("schema", .int(1)), ("nodes", .array(nodes)), ("arena_bytes", .int(profile.arenaBytes)),
      ("packed_weight_bytes", .int(profile.packedWeightBytes)),
    ])
    if let tree {
      object["scopes"] = .array(
        tree.map { row in
          .object(
            JSONObject([
              ("scope", .string(row.path)), ("nodes", .int(row.nodes)), ("ns", .int(row.sums[0])), ("flops", .int(row.sums[1])),
            ]))
        })
    }
    return .object(object)
  }

  private static func times(_ nanoseconds: Int, _ flops: Int, of total: Int) -> [String] {
    [
      NumberText.format(Double(nanoseconds) / 1e3, "%.1f"), NumberText.format(100 * Double(nanoseconds) / Double(total), "%.1f"),
      nanoseconds > 0 ? NumberText.format(Double(flops) / Double(nanoseconds), "%.1f") : "",
    ]
  }

  private static func text(_ profile: Profile, _ tree: [ScopeTree.Row]?) -> String {
    let total = max(1, profile.nodes.reduce(0) { $0 + $1.nanoseconds })
    var table: TextTable
    if let tree {
      table = TextTable(["us", "%", "GFLOP/s", "nodes", "scope"], rightAligned: 4)
      for row in tree {
        table.add(
          times(row.sums[0], row.sums[1], of: total) + [
            String(row.nodes), String(repeating: "  ", count: row.level) + KilnError.escaped(row.name),
          ])
      }
    } else {
      let hasDevices = profile.nodes.contains { !$0.device.isEmpty }
      table = TextTable(["us", "%", "GFLOP/s", "op", "kernel", "output", "name"] + (hasDevices ? ["device"] : []), rightAligned: 3)
      for node in profile.nodes where node.nanoseconds > 0 {
        table.add(
          times(node.nanoseconds, node.flops, of: total) + [node.op, node.kernel, node.outputType, KilnError.escaped(node.name)]
            + (hasDevices ? [KilnError.escaped(node.device)] : []))
      }
    }
    return table.text + "total \(NumberText.format(Double(total) / 1e3, "%.1f")) us; "
      + "intermediate results \(profile.arenaBytes >> 10) KiB, packed weights \(profile.packedWeightBytes >> 10) KiB\n"
  }
}
