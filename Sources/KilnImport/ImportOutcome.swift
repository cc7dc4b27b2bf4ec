@_exported import ModelFormats
import TensorModule

/// What an import tells besides the model.
public struct ImportOutcome: Sendable {
  /// What was passed over: unknown configuration keys, defaults that were assumed.
  public var warnings: [ImportWarning] = []
  /// What was found out about the source, in order: framework, generation, version.
  public var facts: [SourceFact] = []
  /// The source layer by layer.
  public var report = ImportReport()
  /// Why the model cannot be imported. Not nil only from `ModelImport.check`.
  public var problem: KilnError?

  public init() {}
}

extension ImportOutcome {
  var json: JSON {
    func row(_ row: ImportReportRow) -> JSON {
      .array([
        .string(row.layer), .string(row.className), .string(row.status.rawValue), .string(row.remark), .int(row.parameters),
        .int(row.count),
      ])
    }
    return .object(
      JSONObject([
        ("warnings", .array(warnings.map { .array([.string($0.layer), .string($0.message)]) })),
        ("facts", .array(facts.map { .array([.string($0.name), .string($0.value), .string($0.evidence)]) })),
        ("rows", .array(report.rows.map(row))), ("problem", problem?.json ?? .null),
      ]))
  }

  /// What a child answered; parts that are malformed are left out.
  init(_ json: JSON) {
    for pair in json["warnings"]?.arrayValue ?? [] {
      if let layer = pair[0]?.stringValue, let text = pair[1]?.stringValue { warnings.append(ImportWarning(layer: layer, text)) }
    }
    for pair in json["facts"]?.arrayValue ?? [] {
      if let name = pair[0]?.stringValue, let value = pair[1]?.stringValue {
        facts.append(SourceFact(name, value, evidence: pair[2]?.stringValue ?? ""))
      }
    }
    for row in json["rows"]?.arrayValue ?? [] {
      guard let layer = row[0]?.stringValue, let className = row[1]?.stringValue, let remark = row[3]?.stringValue,
        let status = ImportReportRow.Status(rawValue: row[2]?.stringValue ?? ""), let parameters = row[4]?.intValue,
        let count = row[5]?.intValue
      else { continue }
      report.rows.append(
        ImportReportRow(layer: layer, className: className, status: status, remark: remark, parameters: parameters, count: count))
    }
    if let error = json["problem"], !error.isNull { problem = KilnError(error) }
  }
}

extension KilnError {
  var json: JSON {
    .object(
      JSONObject([
        ("code", .string(code.rawValue)), ("message", .string(message)), ("path", .array(path.map { .string($0) })),
        ("hint", hint.map { .string($0) } ?? .null),
      ]))
  }

  init(_ json: JSON) {
    self.init(
      Code(rawValue: json["code"]?.stringValue ?? "") ?? .badInput,
      json["message"]?.stringValue ?? "the reader gave no reason",
      at: json["path"]?.arrayValue?.compactMap(\.stringValue) ?? [], hint: json["hint"]?.stringValue)
  }
}
