/// What is read of CNTK, for its page of documentation.
package enum CNTKOps {
  /// `Docs/cntk-ops.md`.
  package static var documentation: String {
    var out = """
      # CNTK's operations

      The primitive operations that `kconv import` reads, by the names that CNTK's own library gives them. An operation that is not here is an
      error that names the functions; one run collects all of them. This page is generated: a test compares it with the table in
      `ModelFormats/CNTK/CNTKOpCatalog.swift` (`KILN_WRITE_DOCS=1 swift test -c release --filter CNTKOpsTests` writes it).

      | family | operations |
      |---|---|

      """
    for family in CNTKOpCatalog.families {
      out += "| \(family.title) | \(family.rows.map { "`\($0.op)`" }.sorted().joined(separator: " ")) |\n"
    }
    for (op, meaning) in CNTKOpCatalog.structural { out += "| `\(op)` | \(meaning) |\n" }
    out += """

      What CNTK's layers library makes of these, such as `LSTM`, `Softplus`, `LayerNormalization` or `Sequence::Slice`, are blocks.

      ## Refused by name

      | operation | why |
      |---|---|

      """
    for (op, reason) in CNTKOpCatalog.refused { out += "| `\(op)` | \(reason) |\n" }
    return out
  }

  /// Names of operations that neither table has.
  package static var unnamed: [String] {
    let known = Set(CNTKOpCatalog.names + CNTKOpCatalog.structural.map(\.op) + CNTKOpCatalog.refused.map(\.op))
    return CNTKOperation.names.filter { !known.contains($0) }
  }
}
