/// What is read of TensorFlow, for its page of documentation.
package enum TensorFlowOps {
  /// `Docs/tensorflow-ops.md`.
  package static var documentation: String {
    var out = """
      # TensorFlow's ops

      The op types that `kconv import` reads. An op that is not here is an error that names all its nodes; one run collects all of
      them. This page is generated: a test compares it with the table in `ModelFormats/TensorFlow/TFOpCatalog.swift`
      (`KILN_WRITE_DOCS=1 swift test -c release --filter TensorFlowOpsTests` writes it).

      An op stands here when its inference is read with the attributes that TensorFlow's own layers give it; what an attribute asks
      beyond that is an error that names it. Operands that give shapes, axes, sizes or permutations must follow from constants and from
      the shapes of the inputs.

      | family | ops |
      |---|---|

      """
    for family in TFOpCatalog.families where !family.readers.isEmpty {
      let names = family.readers.keys.sorted().map { "`\($0)`" }
      out += "| \(family.title) | \(names.joined(separator: " ")) |\n"
    }
    out += """
      | Passed on | \(TFConverter.transparent.sorted().map { "`\($0)`" }.joined(separator: " ")) |
      | Inlined or picked | `PartitionedCall` `StatefulPartitionedCall` `RemoteCall` and functions by name; `If` `StatelessIf` `Case` `StatelessCase` `Merge` `While` `StatelessWhile` `Exit` |
      | Given from outside | `Placeholder` `PlaceholderV2` |

      """
    return out
  }
}
