/// The arguments that the constructors of Keras's classes take besides `name`, `trainable` and `dtype`: those of Keras 3.15.1
/// and of tf_keras 2.21. A configuration with others is refused by the Keras that reads it.
enum KerasArguments {
  /// The arguments of a layer class; nil when there is no such class.
  static func layer(_ className: String, keras3: Bool) -> Set<String>? { (keras3 ? layers3 : layers2)[className] }

  /// The arguments of an optimizer class.
  static func optimizer(_ className: String, keras3: Bool) -> Set<String>? { (keras3 ? optimizers3 : optimizers2)[className] }

  /// The arguments of an initializer class, the same in both but for two.
  static func initializer(_ className: String, keras3: Bool) -> Set<String>? {
    guard let found = initializers[className] else { return nil }
    return keras3 ? found : found.subtracting(["input_axes", "output_axes"])
  }

  private static let layers3 = table(layerText3)
  private static let layers2 = table(layerText2)
  private static let optimizers3 = table(optimizerText3)
  private static let optimizers2 = table(optimizerText2)
  private static let initializers = table(initializerText)

  /// Lines `CLASS CLASS: ARGUMENT ARGUMENT`; a line that goes on begins with spaces.
  private static func table(_ text: String) -> [String: Set<String>] {
    var out: [String: Set<String>] = [:]
    var classes: [Substring] = []
    for line in text.split(separator: "\n") {
      var arguments = line[...]
      if !line.hasPrefix(" "), let colon = line.firstIndex(of: ":") {
        classes = line[..<colon].split(separator: " ")
        arguments = line[line.index(after: colon)...]
      }
      for name in classes { out[String(name), default: []].formUnion(arguments.split(separator: " ").map(String.init)) }
    }
    return out
  }

  private static let layerText3 = """
    Activation: activation
    ActivityRegularization: l1 l2
    AdaptiveAveragePooling1D AdaptiveAveragePooling2D AdaptiveAveragePooling3D AdaptiveMaxPooling1D AdaptiveMaxPooling2D AdaptiveMaxPooling3D:
      output_size data_format
    Add Average Identity Maximum Minimum Multiply Subtract:
    AdditiveAttention: use_scale dropout score_mode seed
    AlphaDropout Dropout: rate noise_shape seed
    Attention: use_scale score_mode dropout seed
    AugMix: value_range num_chains chain_depth factor alpha all_ops interpolation seed data_format bounding_box_format
    AutoContrast: value_range factor bounding_box_format data_format
    AveragePooling1D AveragePooling2D AveragePooling3D MaxPooling1D MaxPooling2D MaxPooling3D: pool_size strides padding data_format
    BatchNormalization: axis momentum epsilon center scale beta_initializer gamma_initializer moving_mean_initializer
      moving_variance_initializer beta_regularizer gamma_regularizer beta_constraint gamma_constraint renorm renorm_clipping renorm_momentum
      synchronized
    Bidirectional: layer merge_mode backward_layer
    CategoryEncoding: num_tokens output_mode sparse
    CenterCrop: height width data_format factor bounding_box_format
    Concatenate Softmax UnitNormalization: axis
    ContrastLimitedAdaptiveHistogramEqualization: value_range clip_limit tile_grid_size data_format factor bounding_box_format
    Conv1D Conv2D Conv3D: filters kernel_size strides padding data_format dilation_rate groups activation use_bias kernel_initializer
      bias_initializer kernel_regularizer bias_regularizer kernel_constraint bias_constraint lora_rank lora_alpha
    Conv1DTranspose Conv2DTranspose: filters kernel_size strides padding output_padding data_format dilation_rate activation use_bias
      kernel_initializer bias_initializer kernel_regularizer bias_regularizer kernel_constraint bias_constraint
    Conv3DTranspose: filters kernel_size strides padding data_format output_padding dilation_rate activation use_bias kernel_initializer
      bias_initializer kernel_regularizer bias_regularizer kernel_constraint bias_constraint
    ConvLSTM1D ConvLSTM2D ConvLSTM3D: filters kernel_size strides padding data_format dilation_rate activation recurrent_activation use_bias
      kernel_initializer recurrent_initializer bias_initializer unit_forget_bias kernel_regularizer recurrent_regularizer bias_regularizer
      kernel_constraint recurrent_constraint bias_constraint dropout recurrent_dropout seed return_sequences return_state go_backwards stateful
      zero_output_for_mask
    Cropping1D: cropping
    Cropping2D Cropping3D: cropping data_format
    CutMix: factor seed data_format bounding_box_format
    Dense: units activation use_bias kernel_initializer bias_initializer kernel_regularizer bias_regularizer kernel_constraint bias_constraint
      lora_rank lora_alpha quantization_config
    DepthwiseConv1D DepthwiseConv2D: kernel_size strides padding depth_multiplier data_format dilation_rate activation use_bias
      depthwise_initializer bias_initializer depthwise_regularizer bias_regularizer depthwise_constraint bias_constraint
    Discretization: bin_boundaries num_bins epsilon output_mode sparse
    Dot: axes normalize
    ELU: alpha
    EinsumDense: equation output_shape activation bias_axes kernel_initializer bias_initializer kernel_regularizer bias_regularizer
      kernel_constraint bias_constraint lora_rank lora_alpha quantization_config
    Embedding: input_dim output_dim embeddings_initializer embeddings_regularizer embeddings_constraint mask_zero lora_rank lora_alpha
      quantization_config
    Equalization: value_range bins data_format factor bounding_box_format
    Flatten: data_format
    GRU: units activation recurrent_activation use_bias kernel_initializer recurrent_initializer bias_initializer kernel_regularizer
      recurrent_regularizer bias_regularizer kernel_constraint recurrent_constraint bias_constraint dropout recurrent_dropout seed
      return_sequences return_state go_backwards stateful unroll reset_after use_cudnn zero_output_for_mask
    GRUCell: units activation recurrent_activation use_bias kernel_initializer recurrent_initializer bias_initializer kernel_regularizer
      recurrent_regularizer bias_regularizer kernel_constraint recurrent_constraint bias_constraint dropout recurrent_dropout reset_after seed
    GaussianDropout SpatialDropout1D: rate seed
    GaussianNoise: stddev seed
    GlobalAveragePooling1D GlobalAveragePooling2D GlobalAveragePooling3D GlobalMaxPooling1D GlobalMaxPooling2D GlobalMaxPooling3D: data_format
      keepdims
    GroupNormalization: groups axis epsilon center scale beta_initializer gamma_initializer beta_regularizer gamma_regularizer beta_constraint
      gamma_constraint
    HashedCrossing: num_bins output_mode sparse
    Hashing: num_bins mask_value salt output_mode sparse
    InputLayer: shape batch_size sparse ragged batch_shape optional
    IntegerLookup: max_tokens num_oov_indices mask_token oov_token vocabulary vocabulary_dtype idf_weights invert output_mode sparse
      pad_to_max_tokens oov_method salt
    LSTM: units activation recurrent_activation use_bias kernel_initializer recurrent_initializer bias_initializer unit_forget_bias
      kernel_regularizer recurrent_regularizer bias_regularizer kernel_constraint recurrent_constraint bias_constraint dropout recurrent_dropout
      seed return_sequences return_state go_backwards stateful unroll use_cudnn zero_output_for_mask
    LSTMCell: units activation recurrent_activation use_bias kernel_initializer recurrent_initializer bias_initializer unit_forget_bias
      kernel_regularizer recurrent_regularizer bias_regularizer kernel_constraint recurrent_constraint bias_constraint dropout recurrent_dropout
      seed
    LayerNormalization: axis epsilon center scale beta_initializer gamma_initializer beta_regularizer gamma_regularizer beta_constraint
      gamma_constraint
    LeakyReLU: negative_slope
    Masking: mask_value
    MaxNumBoundingBoxes: max_number fill_value factor bounding_box_format data_format
    MelSpectrogram: fft_length sequence_stride sequence_length window sampling_rate num_mel_bins min_freq max_freq power_to_db top_db mag_exp
      min_power ref_power
    MixUp: alpha data_format seed factor bounding_box_format
    MultiHeadAttention: num_heads key_dim value_dim dropout use_bias output_shape attention_axes sliding_window flash_attention
      kernel_initializer bias_initializer kernel_regularizer bias_regularizer kernel_constraint bias_constraint use_gate seed
    Normalization: axis mean variance invert
    PReLU: alpha_initializer alpha_regularizer alpha_constraint shared_axes
    Permute: dims
    Pipeline: layers
    RMSNormalization: axis epsilon
    RNN: cell return_sequences return_state go_backwards stateful unroll zero_output_for_mask
    RandAugment: value_range num_ops factor interpolation seed data_format bounding_box_format
    RandomBrightness RandomContrast: factor value_range seed bounding_box_format data_format
    RandomColorDegeneration RandomHue RandomPosterization RandomSaturation RandomSharpness: factor value_range data_format seed
      bounding_box_format
    RandomColorJitter: value_range brightness_factor contrast_factor saturation_factor hue_factor seed data_format factor bounding_box_format
    RandomCrop: height width seed data_format factor bounding_box_format
    RandomElasticTransform: factor scale interpolation fill_mode fill_value value_range seed data_format bounding_box_format
    RandomErasing: factor scale fill_value value_range seed data_format bounding_box_format
    RandomFlip: mode seed data_format factor bounding_box_format
    RandomGaussianBlur: factor kernel_size sigma value_range data_format seed bounding_box_format
    RandomGrayscale: factor data_format seed bounding_box_format
    RandomInvert: factor value_range seed data_format bounding_box_format
    RandomPerspective: factor scale interpolation fill_value seed data_format bounding_box_format
    RandomRotation: factor fill_mode interpolation seed fill_value data_format bounding_box_format
    RandomShear: x_factor y_factor interpolation fill_mode fill_value data_format seed factor bounding_box_format
    RandomTranslation RandomZoom: height_factor width_factor fill_mode interpolation seed fill_value data_format factor bounding_box_format
    ReLU: max_value negative_slope threshold
    RepeatVector: n
    Rescaling: scale offset
    Reshape: target_shape
    Resizing: height width interpolation crop_to_aspect_ratio pad_to_aspect_ratio fill_mode fill_value antialias data_format factor
      bounding_box_format
    ReversibleEmbedding: input_dim output_dim tie_weights embeddings_initializer embeddings_regularizer embeddings_constraint mask_zero
      reverse_dtype logit_soft_cap lora_rank lora_alpha quantization_config
    STFTSpectrogram: mode frame_length frame_step fft_length window periodic scaling padding expand_dims data_format
    SeparableConv1D SeparableConv2D: filters kernel_size strides padding data_format dilation_rate depth_multiplier activation use_bias
      depthwise_initializer pointwise_initializer bias_initializer depthwise_regularizer pointwise_regularizer bias_regularizer
      depthwise_constraint pointwise_constraint bias_constraint
    SimpleRNN: units activation use_bias kernel_initializer recurrent_initializer bias_initializer kernel_regularizer recurrent_regularizer
      bias_regularizer kernel_constraint recurrent_constraint bias_constraint dropout recurrent_dropout return_sequences return_state
      go_backwards stateful unroll seed zero_output_for_mask
    SimpleRNNCell: units activation use_bias kernel_initializer recurrent_initializer bias_initializer kernel_regularizer recurrent_regularizer
      bias_regularizer kernel_constraint recurrent_constraint bias_constraint dropout recurrent_dropout seed
    Solarization: addition_factor threshold_factor value_range seed factor bounding_box_format data_format
    SpatialDropout2D SpatialDropout3D: rate data_format seed
    SpectralNormalization: layer power_iterations
    StackedRNNCells: cells
    StringLookup: max_tokens num_oov_indices mask_token oov_token vocabulary idf_weights invert output_mode pad_to_max_tokens sparse encoding
      salt vocabulary_dtype oov_method
    TextVectorization: max_tokens standardize split ngrams output_mode output_sequence_length pad_to_max_tokens vocabulary idf_weights sparse
      ragged encoding
    TimeDistributed: layer
    UpSampling1D: size
    UpSampling2D: size data_format interpolation
    UpSampling3D: size data_format
    ZeroPadding1D ZeroPadding2D ZeroPadding3D: padding data_format
    """

  private static let layerText2 = """
    Activation: activation
    ActivityRegularization: l1 l2
    Add Average Identity Maximum Minimum Multiply Subtract:
    AdditiveAttention: use_scale dropout seed
    AlphaDropout Dropout SpatialDropout1D: rate noise_shape seed
    Attention: use_scale score_mode dropout seed
    AveragePooling1D AveragePooling2D AveragePooling3D MaxPooling1D MaxPooling2D MaxPooling3D: pool_size strides padding data_format
    BatchNormalization: axis momentum epsilon center scale beta_initializer gamma_initializer moving_mean_initializer
      moving_variance_initializer beta_regularizer gamma_regularizer beta_constraint gamma_constraint synchronized renorm renorm_clipping
      renorm_momentum fused virtual_batch_size
    Bidirectional: layer merge_mode backward_layer
    CategoryEncoding: num_tokens output_mode sparse
    CenterCrop: height width
    Concatenate UnitNormalization: axis
    Conv1D Conv2D Conv3D: filters kernel_size strides padding data_format dilation_rate groups activation use_bias kernel_initializer
      bias_initializer kernel_regularizer bias_regularizer kernel_constraint bias_constraint
    Conv1DTranspose Conv2DTranspose Conv3DTranspose: filters kernel_size strides padding output_padding data_format dilation_rate activation
      use_bias kernel_initializer bias_initializer kernel_regularizer bias_regularizer kernel_constraint bias_constraint groups
    ConvLSTM1D ConvLSTM2D ConvLSTM3D: filters kernel_size strides padding data_format dilation_rate activation recurrent_activation use_bias
      kernel_initializer recurrent_initializer bias_initializer unit_forget_bias kernel_regularizer recurrent_regularizer bias_regularizer
      kernel_constraint recurrent_constraint bias_constraint return_sequences return_state go_backwards stateful dropout recurrent_dropout
      time_major
    Cropping1D: cropping
    Cropping2D Cropping3D: cropping data_format
    Dense: units activation use_bias kernel_initializer bias_initializer kernel_regularizer bias_regularizer kernel_constraint bias_constraint
    DepthwiseConv1D DepthwiseConv2D: kernel_size strides padding depth_multiplier data_format dilation_rate activation use_bias
      depthwise_initializer bias_initializer depthwise_regularizer bias_regularizer depthwise_constraint bias_constraint
    Discretization: bin_boundaries num_bins epsilon output_mode sparse
    Dot: axes normalize
    ELU LeakyReLU: alpha
    EinsumDense: equation output_shape activation bias_axes kernel_initializer bias_initializer kernel_regularizer bias_regularizer
      kernel_constraint bias_constraint
    Embedding: input_dim output_dim embeddings_initializer embeddings_regularizer embeddings_constraint mask_zero input_length sparse
    Flatten: data_format
    GRU: units activation recurrent_activation use_bias kernel_initializer recurrent_initializer bias_initializer kernel_regularizer
      recurrent_regularizer bias_regularizer kernel_constraint recurrent_constraint bias_constraint dropout recurrent_dropout return_sequences
      return_state go_backwards stateful unroll time_major reset_after seed
    GRUCell: units activation recurrent_activation use_bias kernel_initializer recurrent_initializer bias_initializer kernel_regularizer
      recurrent_regularizer bias_regularizer kernel_constraint recurrent_constraint bias_constraint dropout recurrent_dropout reset_after seed
    GaussianDropout: rate seed
    GaussianNoise: stddev seed
    GlobalAveragePooling1D GlobalAveragePooling2D GlobalAveragePooling3D GlobalMaxPooling1D GlobalMaxPooling2D GlobalMaxPooling3D: data_format
      keepdims
    GroupNormalization: groups axis epsilon center scale beta_initializer gamma_initializer beta_regularizer gamma_regularizer beta_constraint
      gamma_constraint
    HashedCrossing: num_bins output_mode sparse
    Hashing: num_bins mask_value salt output_mode sparse
    InputLayer: batch_size sparse ragged optional
    IntegerLookup: max_tokens num_oov_indices mask_token oov_token vocabulary vocabulary_dtype idf_weights invert output_mode sparse
      pad_to_max_tokens
    LSTM: units activation recurrent_activation use_bias kernel_initializer recurrent_initializer bias_initializer unit_forget_bias
      kernel_regularizer recurrent_regularizer bias_regularizer kernel_constraint recurrent_constraint bias_constraint dropout recurrent_dropout
      return_sequences return_state go_backwards stateful time_major unroll seed
    LSTMCell: units activation recurrent_activation use_bias kernel_initializer recurrent_initializer bias_initializer unit_forget_bias
      kernel_regularizer recurrent_regularizer bias_regularizer kernel_constraint recurrent_constraint bias_constraint dropout recurrent_dropout
      seed
    LayerNormalization: axis epsilon center scale beta_initializer gamma_initializer beta_regularizer gamma_regularizer beta_constraint
      gamma_constraint
    LocallyConnected1D LocallyConnected2D: filters kernel_size strides padding data_format activation use_bias kernel_initializer
      bias_initializer kernel_regularizer bias_regularizer kernel_constraint bias_constraint implementation
    Masking: mask_value
    MultiHeadAttention: num_heads key_dim value_dim dropout use_bias output_shape attention_axes kernel_initializer bias_initializer
      kernel_regularizer bias_regularizer kernel_constraint bias_constraint softmax_robust_masking
    Normalization: axis mean variance invert
    PReLU: alpha_initializer alpha_regularizer alpha_constraint shared_axes
    Permute: dims
    RNN: cell return_sequences return_state go_backwards stateful unroll time_major
    RandomBrightness: factor value_range seed
    RandomContrast: factor seed
    RandomCrop: height width seed
    RandomFlip: mode seed
    RandomHeight RandomWidth: factor interpolation seed
    RandomRotation: factor fill_mode interpolation seed fill_value
    RandomTranslation RandomZoom: height_factor width_factor fill_mode interpolation seed fill_value
    ReLU: max_value negative_slope threshold
    RepeatVector: n
    Rescaling: scale offset
    Reshape: target_shape
    Resizing: height width interpolation crop_to_aspect_ratio
    SeparableConv1D SeparableConv2D: filters kernel_size strides padding data_format dilation_rate depth_multiplier activation use_bias
      depthwise_initializer pointwise_initializer bias_initializer depthwise_regularizer pointwise_regularizer bias_regularizer
      depthwise_constraint pointwise_constraint bias_constraint
    SimpleRNN: units activation use_bias kernel_initializer recurrent_initializer bias_initializer kernel_regularizer recurrent_regularizer
      bias_regularizer kernel_constraint recurrent_constraint bias_constraint dropout recurrent_dropout return_sequences return_state
      go_backwards stateful unroll time_major
    SimpleRNNCell: units activation use_bias kernel_initializer recurrent_initializer bias_initializer kernel_regularizer recurrent_regularizer
      bias_regularizer kernel_constraint recurrent_constraint bias_constraint dropout recurrent_dropout seed
    Softmax: axis robust_masking
    SpatialDropout2D SpatialDropout3D: rate data_format noise_shape seed
    SpectralNormalization: layer power_iterations
    StackedRNNCells: cells
    StringLookup: max_tokens num_oov_indices mask_token oov_token vocabulary idf_weights encoding invert output_mode sparse pad_to_max_tokens
      vocabulary_dtype
    TextVectorization: max_tokens standardize split ngrams output_mode output_sequence_length pad_to_max_tokens vocabulary idf_weights sparse
      ragged encoding
    ThresholdedReLU: theta
    TimeDistributed: layer
    UpSampling1D: size
    UpSampling2D: size data_format interpolation
    UpSampling3D: size data_format
    ZeroPadding1D: padding
    ZeroPadding2D ZeroPadding3D: padding data_format
    """

  private static let optimizerText3 = """
    Adadelta: learning_rate rho epsilon weight_decay clipnorm clipvalue global_clipnorm use_ema ema_momentum ema_overwrite_frequency
      loss_scale_factor gradient_accumulation_steps
    Adafactor: learning_rate beta_2_decay epsilon_1 epsilon_2 clip_threshold relative_step weight_decay clipnorm clipvalue global_clipnorm
      use_ema ema_momentum ema_overwrite_frequency loss_scale_factor gradient_accumulation_steps
    Adagrad: learning_rate initial_accumulator_value epsilon weight_decay clipnorm clipvalue global_clipnorm use_ema ema_momentum
      ema_overwrite_frequency loss_scale_factor gradient_accumulation_steps
    Adam: learning_rate beta_1 beta_2 epsilon amsgrad weight_decay clipnorm clipvalue global_clipnorm use_ema ema_momentum
      ema_overwrite_frequency loss_scale_factor gradient_accumulation_steps
    AdamW: learning_rate weight_decay beta_1 beta_2 epsilon amsgrad clipnorm clipvalue global_clipnorm use_ema ema_momentum
      ema_overwrite_frequency loss_scale_factor gradient_accumulation_steps
    Adamax Lamb Nadam: learning_rate beta_1 beta_2 epsilon weight_decay clipnorm clipvalue global_clipnorm use_ema ema_momentum
      ema_overwrite_frequency loss_scale_factor gradient_accumulation_steps
    Ftrl: learning_rate learning_rate_power initial_accumulator_value l1_regularization_strength l2_regularization_strength
      l2_shrinkage_regularization_strength beta weight_decay clipnorm clipvalue global_clipnorm use_ema ema_momentum ema_overwrite_frequency
      loss_scale_factor gradient_accumulation_steps
    Lion: learning_rate beta_1 beta_2 weight_decay clipnorm clipvalue global_clipnorm use_ema ema_momentum ema_overwrite_frequency
      loss_scale_factor gradient_accumulation_steps
    Muon: learning_rate adam_beta_1 adam_beta_2 adam_weight_decay epsilon weight_decay clipnorm clipvalue global_clipnorm use_ema ema_momentum
      ema_overwrite_frequency loss_scale_factor gradient_accumulation_steps exclude_layers exclude_embeddings muon_a muon_b muon_c adam_lr_ratio
      momentum ns_steps nesterov rms_rate
    RMSprop: learning_rate rho momentum epsilon centered weight_decay clipnorm clipvalue global_clipnorm use_ema ema_momentum
      ema_overwrite_frequency loss_scale_factor gradient_accumulation_steps
    SGD: learning_rate momentum nesterov weight_decay clipnorm clipvalue global_clipnorm use_ema ema_momentum ema_overwrite_frequency
      loss_scale_factor gradient_accumulation_steps
    ScheduleFreeAdamW: learning_rate beta_1 beta_2 epsilon warmup_steps weight_decay clipnorm clipvalue global_clipnorm use_ema ema_momentum
      ema_overwrite_frequency loss_scale_factor gradient_accumulation_steps
    """

  private static let optimizerText2 = """
    Adadelta: learning_rate rho epsilon weight_decay clipnorm clipvalue global_clipnorm use_ema ema_momentum ema_overwrite_frequency jit_compile
    Adafactor: learning_rate beta_2_decay epsilon_1 epsilon_2 clip_threshold relative_step weight_decay clipnorm clipvalue global_clipnorm
      use_ema ema_momentum ema_overwrite_frequency jit_compile
    Adagrad: learning_rate initial_accumulator_value epsilon weight_decay clipnorm clipvalue global_clipnorm use_ema ema_momentum
      ema_overwrite_frequency jit_compile
    Adam: learning_rate beta_1 beta_2 epsilon adaptive_epsilon amsgrad weight_decay clipnorm clipvalue global_clipnorm use_ema ema_momentum
      ema_overwrite_frequency jit_compile
    AdamW: learning_rate weight_decay beta_1 beta_2 epsilon amsgrad clipnorm clipvalue global_clipnorm use_ema ema_momentum
      ema_overwrite_frequency jit_compile
    Adamax Nadam: learning_rate beta_1 beta_2 epsilon weight_decay clipnorm clipvalue global_clipnorm use_ema ema_momentum
      ema_overwrite_frequency jit_compile
    Ftrl: learning_rate learning_rate_power initial_accumulator_value l1_regularization_strength l2_regularization_strength
      l2_shrinkage_regularization_strength beta weight_decay clipnorm clipvalue global_clipnorm use_ema ema_momentum ema_overwrite_frequency
      jit_compile
    Lion: learning_rate beta_1 beta_2 weight_decay clipnorm clipvalue global_clipnorm use_ema ema_momentum ema_overwrite_frequency jit_compile
    RMSprop: learning_rate rho momentum epsilon centered weight_decay clipnorm clipvalue global_clipnorm use_ema ema_momentum
      ema_overwrite_frequency jit_compile
    SGD: learning_rate momentum nesterov weight_decay clipnorm clipvalue global_clipnorm use_ema ema_momentum ema_overwrite_frequency
      jit_compile
    """

  private static let initializerText = """
    Constant: value
    GlorotNormal GlorotUniform HeNormal HeUniform LecunNormal LecunUniform: seed input_axes output_axes
    Identity: gain
    Ones Zeros:
    Orthogonal: gain seed
    RandomNormal TruncatedNormal: mean stddev seed
    RandomUniform: minval maxval seed
    VarianceScaling: scale mode distribution seed input_axes output_axes
    """
}
