import TensorModule

extension EpochReport {
  /// One line for people.
  package var text: String {
    let validation = validation.map { MetricValue(name: "val_" + $0.name, value: $0.value) }
    let metrics = (training + validation).map { "\($0.name) \(ReportText.number($0.value, 4))" }
    var parts = ["epoch \(epoch + 1)/\(epochCount)"] + metrics
    if seconds > 0 { parts.append("\(ReportText.number(Double(sampleCount) / seconds, 3)) samples/s") }
    parts.append(ReportText.duration(seconds))
    if skippedCount > 0 { parts.append("\(skippedCount) unreadable") }
    return parts.joined(separator: "  ")
  }

  /// One line of JSON (`--format json`). Epochs count from 1 there.
  package var json: JSON {
    let validation = validation.map { ("val_" + $0.name, JSON.double($0.value)) }
    return .object(
      JSONObject([
        ("schema", .int(1)), ("epoch", .int(epoch + 1)), ("epochs", .int(epochCount)),
        ("metrics", .object(JSONObject(training.map { ($0.name, .double($0.value)) } + validation))),
        ("learning_rate", .double(learningRate)), ("steps", .int(stepCount)), ("samples", .int(sampleCount)), ("skipped", .int(skippedCount)),
        ("seconds", .double(seconds)),
      ]))
  }
}
