import TensorModule

/// What a stateful model hands from one prediction to the next: the states of its recurrent layers.
///
///     var state = model.initialState
///     for chunk in chunks { results.append(try model.predict([chunk], state: &state)) }
///     state = model.initialState  // as reset_states() of Keras
///
/// A value: keep as many as there are streams.
public struct ModelState: Sendable {
  var tensors: [Tensor]
}
