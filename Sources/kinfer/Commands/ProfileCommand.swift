import ArgumentParser
import CommandSupport
import Kiln

struct ProfileCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "profile", abstract: "Shows where the time of a prediction goes, node by node.",
    discussion: """
      GFLOP/s counts what the node's definition asks for; a fast algorithm does less, and can pass 100 % of the peak, which is \
      measured in registers on the threads used. Nodes in loops, and in slices of a large batch, are summed over their runs.
      """)

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

  @Option(help: ArgumentHelp("Write when each thread did what as a Chrome trace (chrome://tracing, Perfetto).", valueName: "file"))
  var trace: String?

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
    let inputs = try BenchInputs(model.inputs).tensors(batch: model.stateBatch ?? batch, from: samples)
    let error = try model.weightError(inputs)
    let profile = try model.profile(inputs, repeats: repeats, keepsEvents: trace != nil)
    if let trace { try OutputWriter.write(Array(ChromeTrace(profile: profile, title: "kinfer \(options.model)").text.utf8), to: trace) }
    let tree = scopes ? ProfileCommand.tree(profile).rows(depth: depth) : nil
    guard format == .json else {
      return try Console.write(
        ProfileCommand.text(profile, tree) + (error.map { "\(options.weights.rawValue) weights: \($0.text)\n" } ?? "")
          + (model.placementNote.map { "\($0)\n" } ?? ""))
    }
    var object = ProfileCommand.json(profile, tree)
    if let note = model.placementNote { object["placement"] = .string(note) }
    if let error { (object["weights"], object["weight_error"]) = (.string(options.weights.rawValue), error.json) }
    try Console.write(JSON.object(object).text() + "\n")
  }

  private static func tree(_ profile: Profile) -> ScopeTree {
    var tree = ScopeTree(width: 2)
    for node in profile.nodes { tree.add(node.scope.isEmpty ? node.name : node.scope, nodes: 1, [node.nanoseconds, node.flops]) }
    return tree
  }

  private static func json(_ profile: Profile, _ tree: [ScopeTree.Row]?) -> JSONObject {
    let nodes = profile.nodes.map { node in
      JSON.object(
        JSONObject([
          ("name", .string(node.name)), ("scope", .string(node.scope)), ("op", .string(node.op)),
          ("device", .string(node.device)), ("place", .string(node.place)), ("kernel", .string(node.kernel)), ("why", .string(node.reason)), ("parts", .int(node.parts)),
          ("runs", .int(node.runs)), ("depth", .int(node.depth)), ("output", .string(node.outputType)), ("flops", .int(node.flops)),
          ("bytes", .int(node.bytes)), ("ns", .int(node.nanoseconds)),
        ]))
    }
    var object = JSONObject([
      ("schema", .int(1)), ("nodes", .array(nodes)), ("arena_bytes", .int(profile.arenaBytes)),
      ("arena_greedy_bytes", .int(profile.arenaGreedyBytes)), ("arena_lower_bound", .int(profile.arenaLowerBound)),
      ("peak_gflops", .double(profile.peakGigaflops)),
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
    return object
  }

  private static func times(_ nanoseconds: Int, _ flops: Int, of total: Int, _ peak: Double) -> [String] {
    let speed = nanoseconds > 0 ? Double(flops) / Double(nanoseconds) : 0
    return [
      NumberText.format(Double(nanoseconds) / 1e3, "%.1f"), NumberText.format(100 * Double(nanoseconds) / Double(total), "%.1f"),
      speed > 0 ? NumberText.format(speed, "%.1f") : "", speed > 0 ? NumberText.format(100 * speed / peak, "%.0f") : "",
    ]
  }

  private static func text(_ profile: Profile, _ tree: [ScopeTree.Row]?) -> String {
    let total = max(1, profile.nodes.reduce(0) { $0 + $1.nanoseconds })
    let peak = profile.peakGigaflops
    var table: TextTable
    if let tree {
      table = TextTable(["us", "%", "GFLOP/s", "peak%", "nodes", "scope"], rightAligned: 5)
      for row in tree {
        table.add(
          times(row.sums[0], row.sums[1], of: total, peak) + [
            String(row.nodes), String(repeating: "  ", count: row.level) + KilnError.escaped(row.name),
          ])
      }
    } else {
      let shown = profile.nodes.filter { $0.nanoseconds > 0 }
      let (hasDevices, hasRuns) = (shown.contains { !$0.device.isEmpty }, shown.contains { $0.runs > 1 })
      let hasPlaces = shown.contains { $0.place != "cpu" }
      table = TextTable(
        ["us", "%", "GFLOP/s", "peak%", "KiB"] + (hasRuns ? ["runs"] : []) + (hasPlaces ? ["place"] : []) + ["op", "kernel", "output", "name"]
          + (hasDevices ? ["device"] : []) + ["why"], rightAligned: hasRuns ? 6 : 5)
      for node in shown {
        table.add(
          times(node.nanoseconds, node.flops, of: total, peak) + [String(node.bytes >> 10)] + (hasRuns ? [String(node.runs)] : [])
            + (hasPlaces ? [node.place] : []) + [node.op, node.kernel + (node.parts > 1 ? " x\(node.parts)" : ""), node.outputType]
            + [String(repeating: "  ", count: node.depth) + KilnError.escaped(node.name)]
            + (hasDevices ? [KilnError.escaped(node.device)] : []) + [KilnError.escaped(node.reason)])
      }
    }
    return table.text + summary(profile, total)
  }

  private static func summary(_ profile: Profile, _ total: Int) -> String {
    let flops = profile.nodes.reduce(0) { $0 + $1.flops }
    let speed = Double(flops) / Double(total)
    func over(_ bytes: Int) -> String {
      bytes == 0 ? "" : " (\(NumberText.format(100 * Double(profile.arenaBytes) / Double(bytes), "%.1f")) %)"
    }
    return "total \(NumberText.format(Double(total) / 1e3, "%.1f")) us, \(NumberText.format(speed, "%.1f")) GFLOP/s, "
      + "\(NumberText.format(100 * speed / profile.peakGigaflops, "%.0f")) % of a peak of "
      + "\(NumberText.format(profile.peakGigaflops, "%.0f")) GFLOP/s\n"
      + "intermediate results \(profile.arenaBytes >> 10) KiB; largest first would take \(profile.arenaGreedyBytes >> 10)\(over(profile.arenaGreedyBytes)), "
      + "the most alive at a time is \(profile.arenaLowerBound >> 10)\(over(profile.arenaLowerBound)); "
      + "packed weights \(profile.packedWeightBytes >> 10) KiB\n"
  }
}
