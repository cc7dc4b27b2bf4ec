import TensorModule

/// How much is converted: bodies of loops are converted more than once, and nested ones many times.
final class TFBudget {
  private var spent = 0
  private static let limit = 4_000_000

  func spend() throws {
    spent += 1
    guard spent <= TFBudget.limit else {
      throw KilnError(.unsupportedModel, "loops and branches that come to more than \(TFBudget.limit) nodes are not supported")
    }
  }
}
