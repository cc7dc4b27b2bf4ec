import CommandSupport
import Kiln

extension WeightError {
  var json: JSON { .object(JSONObject([("max_abs", .double(largest)), ("relative_rms", .double(relative))])) }

  var text: String {
    "outputs differ from those of float32 weights by at most \(NumberText.format(largest, "%.3g")), "
      + "relative root mean square \(NumberText.format(relative, "%.3g"))"
  }
}
