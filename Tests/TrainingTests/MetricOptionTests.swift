import TensorModule
import Testing
import Training

/// Options of a file's metrics that would give other numbers than Keras's are refused.
@Suite struct MetricOptionTests {
  private func read(_ name: String, _ config: String) throws { _ = try MetricConfiguration(try JSON.parse(#"{"class_name":"\#(name)","config":\#(config)}"#)) }

  @Test func whatKerasWritesByDefaultIsRead() throws {
    try read("AUC", #"{"name":"auc","dtype":"float32","num_thresholds":200,"curve":"ROC","summation_method":"interpolation","multi_label":false,"num_labels":null,"label_weights":null,"from_logits":false}"#)
    try read("Precision", #"{"name":"precision","dtype":"float32","thresholds":null,"top_k":null,"class_id":null}"#)
    try read("Recall", #"{"thresholds":0.4}"#)
    try read("TopKCategoricalAccuracy", #"{"k":3}"#)
  }

  @Test(arguments: [
    ("AUC", #"{"curve":"PR"}"#, "curve"), ("AUC", #"{"num_thresholds":1e300}"#, "num_thresholds"), ("AUC", #"{"multi_label":true}"#, "multi_label"),
    ("Precision", #"{"top_k":2}"#, "top_k"), ("Recall", #"{"thresholds":[0.1,0.5]}"#, "thresholds"), ("AUC", #"{"thresholds":[0.1,0.5]}"#, "thresholds"), ("TopKCategoricalAccuracy", #"{"k":2.5}"#, "has k"),
  ])
  func otherOptions(name: String, config: String, word: String) {
    let line = DataSupport.line { try read(name, config) }
    #expect(line.contains(word) && line.contains("is not supported"), "\(line)")
  }
}
