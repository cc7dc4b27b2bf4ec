import GraphModule
import TensorModule

/// The steps of a recurrent layer over the products of its input: one kernel walks through time.
///
/// On processors a work-item has some samples and makes a vector of units at a time, the recurrent weights packed
/// `[block of units][k][gate][vector]`. On GPUs a work-group has a sample, each lane some units; states lie in local memory where they fit.
struct RecurrentKernel {
  var rnn: RNN
  var units: Int
  /// Numbers of a vector and samples of a work-item on processors; 1 on GPUs.
  var width: Int
  var samples: Int
  /// Lanes of a work-group on GPUs; nil on processors.
  var lanes: Int?
  /// Units that local memory is laid out for; nil where states lie in global memory.
  var localUnits: Int?
  var cell: String
  var gate: String
  /// Whether it keeps what the derivative needs of each step.
  var traces = false

  init?(_ rnn: RNN, units: Int, batch: Int, _ node: GPULowering) {
    guard let cell = ScalarPrinter.expression(rnn.activation.function, ["(v)"], rnn.activation.parameters, .float32),
      let gate = ScalarPrinter.expression(rnn.recurrentActivation.function, ["(v)"], rnn.recurrentActivation.parameters, .float32)
    else { return nil }
    self.rnn = rnn
    self.units = units
    (self.cell, self.gate) = (cell, gate)
    if node.prefersVectors {
      width = [16, 8, 4].first { $0 <= node.device.vectorWidth } ?? 4
      // Samples share the weights that are read; enough work-items must be left for all cores.
      samples = batch >= 4 * node.device.computeUnits ? 4 : batch >= 2 * node.device.computeUnits ? 2 : 1
      return
    }
    (width, samples) = (1, 1)
    lanes = [32, 64, 128, 256].first { $0 >= units } ?? 256
    lanes = min(lanes ?? 1, node.device.maximumGroup)
    let rounded = (units + 63) / 64 * 64
    localUnits = rounded * Self.states * 4 <= node.device.localMemoryBytes * 3 / 4 ? rounded : nil
  }

  /// Vectors of numbers that a sample keeps: state, its successor, cell, output, reset state or update gate.
  static let states = 6

  var gates: Int { rnn.cell.gates }
  var blocks: Int { (units + width - 1) / width }
  var padded: Int { blocks * width }

  /// Numbers of scratch memory for a batch.
  func scratch(_ batch: Int) -> Int { (batch + samples - 1) / samples * samples * Self.states * padded }

  private var defines: [(String, String)] {
    [("CELL(v)", "(\(cell))"), ("GATE(v)", "(\(gate))"), ("STATES", "\(Self.states)")]
  }

  static let parameters = """
    global const real *projected, global const real *weights, global const real *bias, global const real *start_h, global const real *start_c, \
    global const uchar *mask, global real *y, global real *last_h, global real *last_c, global float *scratch, int batch, int time, int units
    """

  private var parameters: String { Self.parameters + (traces ? ", global real *trace" : "") }

  // MARK: Packing

  var packSource: KernelSource {
    KernelSource(
      """
      kernel void pack_recurrent(global const real *w, global real *y, int units, int gates, int width, int n) {
        int i = get_global_id(0);
        if (i >= n) return;
        int j = i % width, t = i / width, g = t % gates;
        t /= gates;
        int k = t % units, u = t / units * width + j;
        ST(y, i, u < units ? LD(w, (size_t)k * gates * units + g * units + u) : 0);
      }
      """)
  }

  /// The recurrent weights as the kernel reads them.
  func packed(_ node: GPULowering, _ operand: Int) -> GPUArgument {
    if lanes != nil { return node.input(operand) }
    let (units, gates, width) = (units, gates, width)
    let count = blocks * units * gates * width
    if let tensor = node.constant(operand) {
      return node.weights(tensor, layout: "recurrent", key: [units, gates, width], count: count) { target in
        let source = tensor.bytes.bindMemory(to: Float.self)
        for i in 0..<count {
          let (j, g, k) = (i % width, i / width % gates, i / width / gates % units)
          let u = i / width / gates / units * width + j
          target[i] = u < units ? source[k * gates * units + g * units + u] : 0
        }
      }
    }
    let result = node.temporary(reals: count)
    node.kernel(packSource, "pack_recurrent", [node.input(operand), result, .int(units), .int(gates), .int(width), .int(count)], count: count)
    return result
  }

  /// The kernel.
  var source: KernelSource { lanes == nil ? vectors : laneSource }

  // MARK: Cells

  /// Statements that make `next` (and for lstm `cell`) from z0…: the gates' sums with the input; s0…: those with the state; `old` the state.
  private func advance(_ type: String) -> String {
    let (act, gate) = type == "float" ? ("CELL", "GATE") : ("cell_v", "gate_v")
    switch rnn.cell {
    case .simple: return "\(type) next = \(act)(z0 + s0);"
    case .lstm:
      return """
        \(type) g0 = \(gate)(z0 + s0), g1 = \(gate)(z1 + s1), g2 = \(act)(z2 + s2), g3 = \(gate)(z3 + s3), past = cell;
        cell = g1 * cell + g0 * g2;
        \(type) next = g3 * \(act)(cell);
        """
    case .gruResetAfter:
      return """
        \(type) g0 = \(gate)(z0 + s0), g1 = \(gate)(z1 + s1), g2 = \(act)(z2 + g1 * s2);
        \(type) next = g0 * old + (1 - g0) * g2;
        """
    case .gru: return "\(type) g2 = \(act)(z2 + s2);\n\(type) next = update * old + (1 - update) * g2;"
    }
  }

  /// Statements behind `advance` that keep the step's fields, as `RNN.Cell.traceFields` names them; those of gates are 0 at masked steps.
  ///
  /// - Parameters:
  ///   - keep: the statement that writes a field.
  ///   - masked: the condition.
  private func kept(_ keep: (Int, String) -> String, masked: String) -> String {
    guard traces else { return "" }
    let (gates, states): ([(Int, String)], [String]) =
      switch rnn.cell {
      case .simple: ([(0, "next")], ["old"])
      case .lstm: ([(0, "g0"), (1, "g1"), (2, "g2"), (3, "g3")], ["past", "old"])
      case .gruResetAfter: ([(0, "g0"), (1, "g1"), (2, "g2"), (3, "s2")], ["old"])
      // The first two were kept before.
      case .gru: ([(2, "g2")], ["old"])
      }
    let first = rnn.cell.traceFields - states.count
    return gates.map { keep($0.0, masked == "0" ? $0.1 : "\(masked) ? nothing : \($0.1)") }.joined(separator: " ")
      + states.enumerated().map { keep(first + $0, $1) }.joined(separator: " ")
  }

  private var outputs: String {
    """
            if (masked) { \(rnn.zeroOutputForMask ? "last[u] = 0;" : "") }
            else { h[u] = n[u]; last[u] = n[u]; }
            \(rnn.returnSequences ? "if (live) ST(y, ((size_t)row * time + step) * units + u, last[u]);" : "")
    """
  }

  private var finish: String {
    """
        if (live) {
          \(rnn.returnSequences ? "" : "ST(y, (size_t)row * units + u, last[u]);")
          if (last_h) ST(last_h, (size_t)row * units + u, h[u]);
          if (last_c) ST(last_c, (size_t)row * units + u, c[u]);
        }
    """
  }

  private var at: String { rnn.goBackwards ? "time - 1 - step" : "step" }

  // MARK: Processors

  private var vectors: KernelSource {
    let g = gates
    let rows = 0..<samples
    func each(_ line: (Int) -> String) -> String { rows.map(line).joined(separator: "\n") }
    func state(_ row: Int, _ number: Int) -> String { "scratch + ((size_t)(first + \(row)) * STATES + \(number)) * padded" }
    // The sums of `count` gates from `low` on with the vectors at `from`.
    func sums(_ low: Int, _ count: Int, _ from: String) -> String {
      let used = low..<low + count
      return """
        \(each { row in "      vec " + used.map { "s\(row)_\($0) = \(rnn.cell == .gruResetAfter ? "bias ? recurrent_bias(bias, \(g) * units + \($0) * units + u0, units - u0) : 0" : "0")" }.joined(separator: ", ") + ";" })
              for (int k = 0; k < units; k++) {
                global const real *w = weights + ((size_t)(block * units + k) * \(g)) * WIDTH;
        \(used.map { "        vec w\($0) = LDV(w, \($0) * WIDTH);" }.joined(separator: "\n"))
        \(each { row in "        { float a = \(from)\(row)[k]; " + used.map { "s\(row)_\($0) += a * w\($0);" }.joined(separator: " ") + " }" })
              }

        """
    }
    func inputs(_ row: Int, _ used: Range<Int>) -> String {
      used.map { "vec z\($0) = LDV(projected, ((size_t)row\(row) * time + at) * \(g) * units + \($0) * units + u0), s\($0) = s\(row)_\($0);" }
        .joined(separator: " ")
    }
    let isReset = rnn.cell == .gru
    func keep(_ row: Int) -> (Int, String) -> String {
      { "STT(trace, ((size_t)row\(row) * time + at) * \(rnn.cell.traceFields) * units + \($0) * units + u0, \($1));" }
    }
    let early =
      """
          for (int block = 0; block < blocks; block++) {
            int u0 = block * WIDTH;
      \(isReset ? sums(0, 2, "h") : "")
      \(each { row in
        "      { \(inputs(row, 0..<2)) vec g0 = gate_v(z0 + s0), g1 = gate_v(z1 + s1); STV(update\(row), u0, g0); STV(reset\(row), u0, g1 * LDF(h\(row), u0)); "
          + (traces ? "int count = min(WIDTH, units - u0); vec nothing = 0; \(keep(row)(0, "masked\(row) ? nothing : g0")) \(keep(row)(1, "masked\(row) ? nothing : g1"))" : "") + "}"
      })
          }

      """
    let advanced = each { row in
      """
            { \(isReset ? inputs(row, 2..<3) + " vec update = LDF(update\(row), u0);" : inputs(row, 0..<g))
              vec old = LDF(h\(row), u0)\(rnn.cell == .lstm ? ", cell = LDF(c\(row), u0)" : "");
              \(advance("vec"))
              \(traces ? "int count = min(WIDTH, units - u0); vec nothing = 0;" : "")
              \(kept(keep(row), masked: "masked\(row)"))
              \(rnn.cell == .lstm ? "if (!masked\(row)) STV(c\(row), u0, cell);" : "")
              STV(n\(row), u0, next); }
      """
    }
    let text = """
      \(Self.elementFunctions(true))
      static vec recurrent_bias(global const real *bias, int at, int count) {
        union { vec v; float e[WIDTH]; } u;
        for (int j = 0; j < WIDTH; j++) u.e[j] = j < count ? LD(bias, at + j) : 0;
        return u.v;
      }
      \(Self.vectorFunction("cell_v", rnn.activation, 0))
      \(Self.vectorFunction("gate_v", rnn.recurrentActivation, 1))
      kernel void rnn(\(parameters)) {
        int first = get_global_id(0) * \(samples);
        if (first >= batch) return;
        int blocks = (units + WIDTH - 1) / WIDTH, padded = blocks * WIDTH;
      \(each { row in
        "  int row\(row) = min(first + \(row), batch - 1);\n  global float "
          + ["h", "n", "c", "last", "reset", "update"].enumerated().map { "*\($1)\(row) = \(state(row, $0))" }.joined(separator: ", ") + ";"
      })
      \(each { row in
        """
          for (int u = 0; u < padded; u++) {
            h\(row)[u] = start_h && u < units ? LD(start_h, (size_t)row\(row) * units + u) : 0;
            c\(row)[u] = start_c && u < units ? LD(start_c, (size_t)row\(row) * units + u) : 0;
            last\(row)[u] = 0;
          }
        """
      })
        for (int step = 0; step < time; step++) {
          int at = \(at);
      \(each { row in "    int masked\(row) = mask && mask[(size_t)row\(row) * time + at] == 0;" })
      \(isReset ? early : "")
          for (int block = 0; block < blocks; block++) {
            int u0 = block * WIDTH;
      \(isReset ? sums(2, 1, "reset") : sums(0, g, "h"))
      \(advanced)
          }
      \(each { row in
        """
            { int masked = masked\(row), live = first + \(row) < batch, row = row\(row);
              global float *h = h\(row), *n = n\(row), *last = last\(row);
              for (int u = 0; u < units; u++) {
        \(outputs)
              } }
        """
      })
        }
      \(each { row in
        """
          { int live = first + \(row) < batch, row = row\(row);
            global float *h = h\(row), *c = c\(row), *last = last\(row);
            for (int u = 0; u < units; u++) {
        \(finish)
            } }
        """
      })
      }
      """
    return KernelSource(text, defines + Self.accessDefines(width, lanes: nil) + [("STV(p, i, v)", "STF(p, i, v)")])
  }

  /// How kernels over vectors, or lanes of GPUs, read and write: `LDF`, `STF` floats of scratch memory, `LDV` whole vectors of reals,
  /// `LDT`, `STT` those `count` elements that a tensor has at its end.
  static func accessDefines(_ width: Int, lanes: Int?) -> [(String, String)] {
    if let lanes {
      return [
        ("LANES", "\(lanes)"), ("WIDTH", "1"), ("vec", "float"), ("LDF(p, i)", "((p)[i])"), ("STF(p, i, v)", "((p)[i] = (v))"),
        ("LDT(p, i)", "LD(p, i)"), ("STT(p, i, v)", "ST(p, i, v)"),
      ]
    }
    return [
      ("WIDTH", "\(width)"), ("vec", "float\(width)"), ("LDV(p, i)", "LD\(width)(p, i)"), ("LDF(p, i)", "vload\(width)(0, (p) + (i))"),
      ("STF(p, i, v)", "vstore\(width)((v), 0, (p) + (i))"), ("FULL(p, i, v)", "ST\(width)(p, i, v)"),
      ("LDT(p, i)", "load_end(p, i, count)"), ("STT(p, i, v)", "store_end(p, i, v, count)"),
    ]
  }

  static func activationDefines(_ rnn: RNN) -> [(String, String)] {
    func text(_ activation: Activation) -> String { ScalarPrinter.expression(activation.function, ["(v)"], activation.parameters, .float32) ?? "v" }
    return [("CELL(v)", "(\(text(rnn.activation)))"), ("GATE(v)", "(\(text(rnn.recurrentActivation)))")]
  }

  /// Activations that have no form for vectors, and access to the ends of tensors.
  static func elementFunctions(_ vectors: Bool) -> String {
    let ends = """
      static vec load_end(global const real *p, size_t i, int count) {
        if (count >= WIDTH) return LDV(p, i);
        union { vec v; float e[WIDTH]; } u;
        for (int j = 0; j < WIDTH; j++) u.e[j] = j < count ? LD(p, i + j) : 0;
        return u.v;
      }
      static void store_end(global real *p, size_t i, vec v, int count) {
        union { vec v; float e[WIDTH]; } u;
        u.v = v;
        if (count >= WIDTH) FULL(p, i, v);
        else for (int j = 0; j < count; j++) ST(p, i + j, u.e[j]);
      }

      """
    return """
      static vec elements(vec v, int which) {
        union { vec v; float e[WIDTH]; } u;
        u.v = v;
        if (which) for (int j = 0; j < WIDTH; j++) u.e[j] = GATE(u.e[j]);
        else for (int j = 0; j < WIDTH; j++) u.e[j] = CELL(u.e[j]);
        return u.v;
      }
      \(vectors ? ends : "")
      """
  }

  /// The usual functions of vectors; the others go through their elements.
  static func vectorFunction(_ name: String, _ activation: Activation, _ which: Int) -> String {
    let body =
      switch activation.function {
      case .tanh: "tanh(v)"
      case .sigmoid: "1 / (1 + exp(-v))"
      case .identity: "v"
      default: "elements(v, \(which))"
      }
    return "static vec \(name)(vec v) { return \(body); }"
  }

  // MARK: GPUs

  private var laneSource: KernelSource {
    let g = gates
    let lanes = lanes ?? 1
    let space = localUnits == nil ? "global" : "local"
    let memory =
      localUnits.map { "  local float memory[STATES * \($0)];\n  int stride = \($0);" }
      ?? "  global float *memory = scratch + (size_t)row * STATES * units;\n  int stride = units;"
    let barrier = "barrier(CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE);"
    func sums(_ used: Range<Int>, _ from: String) -> String {
      used.map { "        float s\($0) = \(rnn.cell == .gruResetAfter ? "bias ? LD(bias, \(g) * units + \($0) * units + u) : 0" : "0");\n" }.joined()
        + "        for (int k = 0; k < units; k++) {\n          float a = \(from)[k];\n          size_t w = (size_t)k * \(g) * units + u;\n"
        + used.map { "          s\($0) += a * LD(weights, w + \($0) * units);\n" }.joined() + "        }\n"
        + used.map { "        float z\($0) = LD(projected, ((size_t)row * time + at) * \(g) * units + \($0) * units + u);\n" }.joined()
    }
    func keep(_ field: Int, _ value: String) -> String {
      "ST(trace, ((size_t)row * time + at) * \(rnn.cell.traceFields) * units + \(field) * units + u, \(value));"
    }
    let held = rnn.cell == .lstm ? 2 : 1
    let skipped =
      traces
      ? "else for (int u = lane; u < units; u += LANES) { " + (0..<rnn.cell.traceFields - held).map { keep($0, "0") }.joined(separator: " ")
        + (held == 2 ? keep(4, "c[u]") : "") + keep(rnn.cell.traceFields - 1, "h[u]") + " }" : ""
    let early = """
          if (!masked) {
            for (int u = lane; u < units; u += LANES) {
      \(sums(0..<min(2, g), "h"))
              float g0 = GATE(z0 + s0), g1 = GATE(z1 + s1);
              gates[u] = g0;
              reset[u] = g1 * h[u];
              \(traces ? keep(0, "g0") + keep(1, "g1") : "")
            }
          }
          \(barrier)

      """
    let isReset = rnn.cell == .gru
    return KernelSource(
      """
      kernel void rnn(\(parameters)) {
        int lane = get_local_id(0), row = get_global_id(1), live = 1;
      \(memory)
        \(space) float *h = memory, *n = memory + stride, *c = memory + 2 * stride, *last = memory + 3 * stride;
        \(space) float *reset = memory + 4 * stride, *gates = memory + 5 * stride;
        for (int u = lane; u < units; u += LANES) {
          h[u] = start_h ? LD(start_h, (size_t)row * units + u) : 0;
          c[u] = start_c ? LD(start_c, (size_t)row * units + u) : 0;
          last[u] = 0;
        }
        \(barrier)
        for (int step = 0; step < time; step++) {
          int at = \(at), masked = mask && mask[(size_t)row * time + at] == 0;
      \(isReset ? early : "")
          if (!masked) {
            for (int u = lane; u < units; u += LANES) {
      \(sums(isReset ? 2..<3 : 0..<g, isReset ? "reset" : "h"))
              float old = h[u]\(isReset ? ", update = gates[u]" : "")\(rnn.cell == .lstm ? ", cell = c[u]" : "");
              \(advance("float"))
              \(rnn.cell == .lstm ? "c[u] = cell;" : "")
              n[u] = next;
              \(kept(keep, masked: "0"))
            }
          }
      \(skipped)
          \(barrier)
          for (int u = lane; u < units; u += LANES) {
      \(outputs)
          }
          \(barrier)
        }
        for (int u = lane; u < units; u += LANES) {
      \(finish)
        }
      }
      """, defines + [("LANES", "\(lanes)")])
  }
}
