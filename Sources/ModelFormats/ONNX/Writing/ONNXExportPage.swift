import GraphModule

/// The page on what becomes of each op in an ONNX file, made from the catalogues.
package enum ONNXExportPage {
  package static var text: String {
    var lines = [
      "# Ops written as ONNX", "",
      "What `kconv export FILE -o model.onnx` makes of each op of the graph ([ops.md](ops.md)). This page is generated: a test compares it with the",
      "catalogue (`KILN_WRITE_DOCS=1 swift test -c release --filter ONNXExportPageTests` writes it). How files are written: [onnx-export.md](onnx-export.md).",
      "", "| op | in ONNX |", "|---|---|",
    ]
    for row in ONNXWriterCatalog.rows.sorted(by: { $0.op < $1.op }) {
      switch row.fate {
      case .written(let ops, _): lines.append("| `\(row.op)` | \(ops) |")
      case .refused(let reason): lines.append("| `\(row.op)` | refused: \(reason) |")
      }
    }
    lines += ["", "## Scalar functions", "", "| function | in ONNX |", "|---|---|"]
    for function in ScalarFunction.allCases {
      let meaning =
        ONNXFunctions.refused[function].map { "refused: \($0)" } ?? ONNXFunctions.direct[function].map { "`\($0)`" } ?? "composed"
      lines.append("| `\(function.rawValue)` | \(meaning) |")
    }
    return lines.joined(separator: "\n") + "\n"
  }

  /// Ops of the graph that are neither written nor refused.
  package static var undecided: [String] {
    let known = Set(ONNXWriterCatalog.rows.map(\.op))
    return OpCatalog.all.map { $0.name }.filter { !known.contains($0) }
  }

  /// Ops that have two rows.
  package static var repeated: [String] {
    Dictionary(grouping: ONNXWriterCatalog.rows, by: \.op).filter { $0.value.count > 1 }.keys.sorted()
  }
}
