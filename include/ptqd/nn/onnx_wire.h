#pragma once

/* A look at protobuf bytes before anything is unpacked from them.
 *
 * protobuf-c's unpacking is recursive without a limit and doesn't say where bytes are wrong. This
 * walk is a loop with a stack of its own, allocates nothing, and takes time linear in the size.
 */

#include "ptqd/base/error.h"

#include <stddef.h>
#include <stdint.h>

struct ProtobufCMessageDescriptor;

enum {
    ONNX_WIRE_DEPTH_MAX = 64,         /* messages in messages: about 20 nested subgraphs */
    ONNX_WIRE_MESSAGES_MAX = 1000000, /* a network of 10 000 nodes has about 100 000 */
};

/* Checks that `bytes` split into fields and messages of `type` (a generated descriptor): lengths
 * stay inside their message, strings are UTF-8, nesting and number of messages are within the
 * limits above. E_SYNTAX with the byte's offset, or E_TOO_LARGE. */
bool onnx_wire_check(const struct ProtobufCMessageDescriptor *type, const uint8_t *bytes,
                     size_t size, struct error *err);

/* True when the bytes start as a ModelProto does: a positive ir_version, which every writer puts
 * first, then the end or another field of ModelProto. */
bool onnx_wire_recognize(const uint8_t *bytes, size_t size);
