import GraphModule

/// Every rule there is, in the order in which they are tried.
package enum RuleCatalog {
  package static let rules: [Rule] =
    ArithmeticRules.all + ClippingRules.all + MovementRules.all + TransposeRules.all + ReshapeRules.all + ActivationRules.all
    + NormalizationRules.all + PaddingRules.all + WeightFoldingRules.all + PoolingRules.all + EpilogueRules.all

  /// The names of all rules and built-in passes.
  package static var names: [String] { BuiltIn.allCases.map(\.rawValue) + rules.map(\.name) }

  /// `Docs/rules.md`.
  package static func documentation() -> String {
    var out = """
      # Optimizer rules

      Generated from `RuleCatalog`; a test keeps it true. Rules apply phase by phase, and those of earlier phases go on
      applying. *Results* is how near a rewritten graph stays on the reference backend; *may differ* names kinds of
      elements that are excepted. `kconv explain` prints what fires, `--disable-rule NAME` switches a rule off.

      """
    for phase in Phase.allCases {
      out += "\n## \(phase.text.prefix(1).uppercased() + phase.text.dropFirst())\n\n"
      out += "| rule | rewrite | results | may differ |\n|---|---|---|---|\n"
      func row(_ name: String, _ summary: String, _ results: String, _ differs: String) {
        let summary = summary.split(separator: "|", omittingEmptySubsequences: false).joined(separator: "\\|")
        let results = results.split(separator: "|", omittingEmptySubsequences: false).joined(separator: "\\|")
        out += "| `\(name)` | \(summary) | \(results) | \(differs) |\n"
      }
      for pass in BuiltIn.allCases where pass.phase == phase {
        row(pass.rawValue, pass.summary, pass.exactness.text, "")
      }
      for rule in rules where rule.phase == phase {
        row(rule.name, rule.summary, rule.exactness.text, rule.mayDiffer.text)
      }
    }
    return out
  }
}
