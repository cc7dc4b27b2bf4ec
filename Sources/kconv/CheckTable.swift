import CommandSupport
import KilnImport
import TensorModule

/// The table of `kconv check`: what maps, what is approximated, what is not supported, each with its number.
struct CheckTable {
  private let report: ImportReport
  private let layerByLayer: Bool

  /// - Parameter layerByLayer: a row for each layer; otherwise one for each class that maps, and for each kind of problem.
  init(_ report: ImportReport, layerByLayer: Bool) {
    self.report = report
    self.layerByLayer = layerByLayer
  }

  private struct Line: Hashable {
    let status: ImportReportRow.Status
    let className: String
    let remark: String
    /// Nil for all layers of this kind together.
    let layer: String?
  }

  func text(width: Int?) -> String {
    var order: [Line] = []
    var found: [Line: (count: Int, layers: [String])] = [:]
    for row in report.rows {
      let line = Line(
        status: row.status, className: row.className, remark: row.remark, layer: layerByLayer ? row.layer : nil)
      if found[line] == nil { order.append(line) }
      found[line, default: (0, [])].count += row.count
      if !row.layer.isEmpty { found[line]?.layers.append(KilnError.escaped(row.layer)) }
    }
    var table = TextTable(["count", "class", "becomes", "layers"], rightAligned: 1)
    for status in CheckTable.order {
      for line in order where line.status == status {
        guard let (count, layers) = found[line] else { continue }
        let names = status.isProblem || layerByLayer ? layers.joined(separator: ", ") : ""
        let text = [names, line.remark].filter { !$0.isEmpty }.joined(separator: ": ")
        table.add(["\(count)", KilnError.escaped(line.className), status.word, text])
      }
    }
    return table.text(width: width)
  }

  /// The sums in one line. An importer either gives a layer its exact meaning or refuses it; there is no status between.
  var totals: String {
    let total = report.rows.reduce(0) { $0 + $1.count }
    let mapped = report.count(.supported)
    let (identity, unsupported, malformed) = (
      report.count(.identity), report.count(.unsupported), report.count(.malformed)
    )
    return
      "total \(total): \(mapped) exact, \(identity) identity when predicting, 0 approximated, \(unsupported) unsupported"
      + (malformed > 0 ? ", \(malformed) malformed" : "")
  }

  private static let order: [ImportReportRow.Status] = [.supported, .identity, .unsupported, .malformed]
}

extension ImportReportRow.Status {
  fileprivate var isProblem: Bool { self == .unsupported || self == .malformed }

  fileprivate var word: String { self == .supported ? "exact" : rawValue }
}
