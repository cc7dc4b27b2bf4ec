import Foundation
import TensorModule
import TestSupport
import Testing

/// A file of `fixtures/bad`: damaged, hostile, or holding what cannot be supported.
struct BadFile: Sendable, CustomTestStringConvertible {
  let name: String
  let file: String
  let message: String

  var testDescription: String { name }

  static let all: [BadFile] = {
    let folder = Command.root.appending(path: "fixtures/bad")
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
    return names.sorted().compactMap { name in
      guard let data = try? Data(contentsOf: folder.appending(path: "\(name)/case.json")), let json = try? JSON.parse(Array(data)),
        json["expect"]?.stringValue == "clear-error", let file = json["files"]?[0]?.stringValue
      else { return nil }
      return BadFile(
        name: name, file: folder.appending(path: "\(name)/\(file)").path, message: json["message_contains"]?.stringValue ?? "")
    }
  }()
}

@Suite struct BadFileTests {
  /// Contradictions that the importer does not see yet: the test fails when it does, and the name goes from here.
  private static let accepted: Set = [
    "config_output_node_index", "config_unknown_model_class", "dtype_40_bit_float", "dtype_policy_unknown",
    "graph_two_inputs_for_dense", "relu_negative_max", "reshape_count",
  ]

  /// Faults that are told in other words than the generator of the files foresaw.
  private static let wording = [
    "activation_anonymous_function": "activation is a lambda", "config_is_list": "model configuration",
    "config_is_null": "model configuration", "config_is_number": "model configuration",
    "config_layer_is_text": "layer 'layer_1' has no class_name", "config_layer_without_config": "layer 'layer_1' has no class_name",
    "config_lone_surrogate": "weights are missing", "config_number_of_10000_digits": "a number of 10000 characters",
    "flip_btree_child_address": "layer_names", "flip_btree_child_is_itself": "layer_names", "flip_btree_entries": "layer_names",
    "flip_btree_level": "layer_names", "flip_btree_signature": "layer_names", "flip_heap_signature": "layer_names",
    "flip_heap_size": "layer_names", "flip_symbol_node_signature": "layer_names", "flip_symbol_count": "layer_names",
    "flip_global_heap_signature": "model_config", "flip_global_heap_size": "model_config",
    "flip_signature": "no format that is known", "one_byte": "no format that is known", "random_bytes": "no format that is known",
    "zeros": "no format that is known", "plain_text": "is text, not a model", "graph_cycle": "depends on itself",
    "layer_name_twice_in_layer_names": "a name twice", "name_5000_characters": "longer than 1,024 bytes",
    "string_lookup_reads_a_file": "'StringLookup' is not a known layer",
  ]

  @Test func thereAreMany() { #expect(BadFile.all.count > 200) }

  @Test(arguments: BadFile.all) func isOneCleanError(_ item: BadFile) throws {
    if BadFileTests.accepted.contains(item.name) {
      try withKnownIssue { try refuses(item) }
    } else {
      try refuses(item)
    }
  }

  private func refuses(_ item: BadFile) throws {
    let folder = TemporaryFolder()
    let run = try Command.run("kconv", ["import", item.file, "-o", folder.file("m.kiln")], limit: 60)
    #expect(run.signal == 0 && !run.timedOut)
    #expect([3, 4].contains(run.exitCode), "exit code \(run.exitCode): \(run.errors)")
    let line = try #require(run.errorLine, "not one line: \(run.errors)")
    #expect(line.hasPrefix("kconv: error: ") && line.count <= 1100)
    #expect(line.localizedCaseInsensitiveContains(BadFileTests.wording[item.name] ?? item.message), "\(line)")
    #expect(run.processorSeconds < 10 && run.memory < 1024)
    #expect(folder.names.isEmpty)
  }
}
