import Foundation
import TestSupport
import Testing

@Suite struct ProfileTests {
  @Test func theTraceIsOneOfTheTraceEventFormat() throws {
    let folder = TemporaryFolder()
    let path = folder.file("trace.json")
    let run = try Command.kinfer("profile", try Demo.model(), "--trace", path, "--repeats", "2", "--threads", "2", "--format", "json")
    #expect(run.exitCode == 0, "\(run.errors)")
    let root = try #require(try JSONSerialization.jsonObject(with: Data(contentsOf: URL(filePath: path))) as? [String: Any])
    let events = try #require(root["traceEvents"] as? [[String: Any]])
    let slices = events.filter { $0["ph"] as? String == "X" }
    #expect(slices.count >= 3)
    for event in events {
      #expect(event["name"] is String && event["pid"] is Int && event["tid"] is Int)
      #expect(["X", "M"].contains(event["ph"] as? String))
      #expect(event["args"] is [String: Any])
    }
    var end: [Int: Double] = [:]
    for slice in slices {
      let (begin, length) = (try #require(slice["ts"] as? Double), try #require(slice["dur"] as? Double))
      let thread = try #require(slice["tid"] as? Int)
      // A thread does one thing at a time.
      #expect(begin >= end[thread, default: 0] && length >= 0)
      end[thread] = begin + length
    }
    let named = events.filter { $0["name"] as? String == "thread_name" }.compactMap { $0["tid"] as? Int }
    #expect(Set(named) == Set(slices.compactMap { $0["tid"] as? Int }))

    let report = try #require(try JSONSerialization.jsonObject(with: run.output) as? [String: Any])
    let nodes = try #require(report["nodes"] as? [[String: Any]])
    #expect(nodes.allSatisfy { ($0["why"] as? String)?.isEmpty == false || $0["ns"] as? Int == 0 })
    #expect(try #require(report["peak_gflops"] as? Double) > 0)
    let sizes = try ["arena_lower_bound", "arena_bytes", "arena_greedy_bytes"].map { try #require(report[$0] as? Int) }
    #expect(sizes == sizes.sorted())
  }
}
