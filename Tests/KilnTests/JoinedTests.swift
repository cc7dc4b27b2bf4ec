import GraphModule
import Kiln
import Testing

/// Batches of results put together.
@Suite struct JoinedTests {
  /// A result without a first axis, of a model that runs all at once.
  @Test func oneScalarStaysAScalar() throws {
    let scalar = try Tensor([3.5] as [Float], shape: [])
    let joined = try Tensor.joined([scalar])
    #expect(joined.shape == [] && joined.floats == [3.5])
  }

  @Test func partsJoinAlongTheFirstAxis() throws {
    let parts = [try Tensor([1, 2] as [Float], shape: [1, 2]), try Tensor([3, 4, 5, 6] as [Float], shape: [2, 2])]
    let joined = try Tensor.joined(parts)
    #expect(joined.shape == [3, 2] && joined.floats == [1, 2, 3, 4, 5, 6])
  }
}
