import GraphModule
import TensorModule

/// The optimizer's step as a graph over the blocks of weights, gradients and states, for devices on which these stay.
struct UpdateGraph {
  /// What an input or output is: a part of a block, or a number of this step.
  enum Value: Hashable {
    case weights(Range<Int>)
    case gradients(Range<Int>)
    /// What the rows of tables sum up to beside their gradient.
    case rows(Range<Int>)
    case slot(Int, Range<Int>)
    case averages(Range<Int>)
    case accumulated(Range<Int>)
    /// Adafactor's means of a variable.
    case rowMeans(Int)
    case columnMeans(Int)
    /// Statistics that move, and those of the batch.
    case statistics(Range<Int>)
    case found(Range<Int>)
    case number(Number)
    /// Whether all gradients are finite; else nothing moved.
    case isFinite
  }

  /// Numbers that differ from step to step.
  enum Number: Hashable, CaseIterable {
    case rate, decay
    /// Of the rule, as in `kiln_update_params`; of Ftrl d is twice its b.
    case c, d, e
    /// Of averages: their momentum, and 1 where they become the weights.
    case averageMomentum, takesAverages
    /// Adafactor's.
    case beta, relativeRate
  }

  var graph: Graph
  var inputs: [Value]
  var outputs: [Value]
}

/// What a step's update is made for.
struct UpdateForm {
  var configuration: OptimizerConfiguration
  var layout: ParameterLayout
  /// Variables whose rows' squares or absolute values are given.
  var rows: Set<Int>
  var constraints: [Int: Constraint]
  /// Statistics with their momenta.
  var statistics: ParameterLayout
  var momenta: [Float]
  /// Whether gradients are only gathered.
  var gathers: Bool
}
