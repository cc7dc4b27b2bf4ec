// The messages that stand alone in a file. Swift copies a C constant that it reads, and a message keeps the address of its
// descriptor: so each has a function.
#ifndef KILN_SCHEMAS_H
#define KILN_SCHEMAS_H
#include "cntk.pb-c.h"
#include "onnx.pb-c.h"
#include "tensorflow.pb-c.h"

static inline const ProtobufCMessageDescriptor *kiln_tf_graph_def(void) { return &tf__graph_def__descriptor; }
static inline const ProtobufCMessageDescriptor *kiln_tf_meta_graph_def(void) { return &tf__meta_graph_def__descriptor; }
static inline const ProtobufCMessageDescriptor *kiln_tf_saved_model(void) { return &tf__saved_model__descriptor; }
static inline const ProtobufCMessageDescriptor *kiln_tf_variable_def(void) { return &tf__variable_def__descriptor; }
static inline const ProtobufCMessageDescriptor *kiln_tf_bundle_header(void) { return &tf__bundle_header_proto__descriptor; }
static inline const ProtobufCMessageDescriptor *kiln_tf_bundle_entry(void) { return &tf__bundle_entry_proto__descriptor; }
static inline const ProtobufCMessageDescriptor *kiln_tf_tensor_proto(void) { return &tf__tensor_proto__descriptor; }
static inline const ProtobufCMessageDescriptor *kiln_tf_tensor_slice(void) { return &tf__tensor_slice_proto__descriptor; }
static inline const ProtobufCMessageDescriptor *kiln_tf_saved_tensor_slices(void) {
  return &tf__saved_tensor_slices__descriptor;
}
static inline const ProtobufCMessageDescriptor *kiln_tf_trackable_object_graph(void) {
  return &tf__trackable_object_graph__descriptor;
}

static inline const ProtobufCMessageDescriptor *kiln_onnx_model(void) { return &onnx__model_proto__descriptor; }
static inline const ProtobufCMessageDescriptor *kiln_onnx_tensor(void) { return &onnx__tensor_proto__descriptor; }

static inline const ProtobufCMessageDescriptor *kiln_cntk_dictionary(void) { return &cntk__dictionary__descriptor; }
#endif
