import CommandSupport
import Kiln

/// A prediction in the Trace Event Format, which chrome://tracing and Perfetto open: a row for each thread, a slice for
/// each node that it worked on.
struct ChromeTrace {
  private static let process = 1

  let profile: Profile
  /// What the process's row is called.
  let title: String

  /// The text of the file.
  var text: String {
    let threads = Set(profile.events.map(\.thread)).sorted()
    var events = [metadata("process_name", thread: 0, title)]
    events += threads.map { metadata("thread_name", thread: $0, $0 == 0 ? "predicting thread" : "worker \($0)") }
    events += threads.map { metadata("thread_sort_index", thread: $0, key: "sort_index", .int($0)) }
    events += profile.events.map(slice)
    return JSON.object(JSONObject([("traceEvents", .array(events)), ("displayTimeUnit", .string("ns"))])).text() + "\n"
  }

  private func metadata(_ kind: String, thread: Int, _ name: String) -> JSON {
    metadata(kind, thread: thread, key: "name", .string(name))
  }

  private func metadata(_ kind: String, thread: Int, key: String, _ value: JSON) -> JSON {
    .object(
      JSONObject([
        ("name", .string(kind)), ("ph", .string("M")), ("pid", .int(Self.process)), ("tid", .int(thread)),
        ("args", .object(JSONObject([(key, value)]))),
      ]))
  }

  /// A complete event; times are microseconds.
  private func slice(_ event: ThreadEvent) -> JSON {
    let node = profile.nodes[event.node]
    var arguments = JSONObject([
      ("op", .string(node.op)), ("kernel", .string(node.kernel)), ("why", .string(node.reason)), ("output", .string(node.outputType)),
      ("parts", .int(node.parts)), ("bytes", .int(node.bytes / max(1, node.runs))), ("flops", .int(node.flops / max(1, node.runs))),
    ])
    if !node.scope.isEmpty { arguments["scope"] = .string(node.scope) }
    return .object(
      JSONObject([
        ("name", .string(node.name.isEmpty ? node.op : node.name)), ("cat", .string(node.kernel)), ("ph", .string("X")),
        ("ts", .double(Double(event.begin) / 1e3)), ("dur", .double(Double(max(0, event.end - event.begin)) / 1e3)),
        ("pid", .int(Self.process)), ("tid", .int(event.thread)), ("args", .object(arguments)),
      ]))
  }
}
