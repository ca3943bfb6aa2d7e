/* The protobuf wire format (encoding of proto2): a message is a list of fields, a field is a key
 * and a value. The key is a varint of (field number << 3 | wire type). Wire types:
 *   0  varint: 7 bits a byte, least significant first, the high bit says that more follow
 *   1  8 bytes
 *   2  a varint length and as many bytes: text, bytes, packed lists, messages
 *   5  4 bytes
 * (3 and 4 are groups, which onnx.proto does not use and protobuf-c does not read.)
 *
 * Which fields of type 2 hold messages is known from the generated descriptors. What the
 * descriptors don't know is skipped: newer files stay readable. A field whose wire type is not the
 * declared one is left to protobuf-c, which refuses it.
 */

#include "ptqd/nn/onnx_wire.h"

#include "ptqd/base/text.h"

#include "onnx.pb-c.h"

#include <inttypes.h>

enum { VARINT_BYTES_MAX = 10, IR_VERSION_FIELD = 1, IR_VERSION_PLAUSIBLE = 1000 };

struct message {
    const ProtobufCMessageDescriptor *type;
    size_t end; /* offset after its last byte */
};

struct scan {
    const uint8_t *bytes;
    size_t at; /* offset of the next byte */
    struct message stack[ONNX_WIRE_DEPTH_MAX];
    int depth; /* messages on the stack, ≥ 1 */
    size_t messages;
};

static const struct message *innermost(const struct scan *scan)
{
    return &scan->stack[scan->depth - 1];
}

/* Reads a varint that ends before `end`; false (and `*at` untouched) when there is none. */
static bool read_varint(const uint8_t *bytes, size_t end, size_t *at, uint64_t *out)
{
    uint64_t value = 0;
    for (size_t i = 0; i < VARINT_BYTES_MAX && *at + i < end; i++) {
        uint8_t byte = bytes[*at + i];
        value |= (uint64_t)(byte & 0x7f) << (7 * i);
        if ((byte & 0x80) == 0) {
            *at += i + 1;
            *out = value;
            return true;
        }
    }
    return false;
}

static bool next_varint(struct scan *scan, const char *what, uint64_t *out, struct error *err)
{
    const struct message *message = innermost(scan);
    if (!read_varint(scan->bytes, message->end, &scan->at, out))
        return FAIL(err, E_SYNTAX, "byte %zu: the %s in a %s is cut off or longer than %d bytes",
                    scan->at, what, message->type->short_name, VARINT_BYTES_MAX);
    return true;
}

static const ProtobufCFieldDescriptor *find_field(const ProtobufCMessageDescriptor *type,
                                                  uint64_t number)
{
    if (number > UINT32_MAX)
        return NULL;
    return protobuf_c_message_descriptor_get_field(type, (unsigned)number);
}

/* Steps over `length` bytes of the innermost message. */
static bool skip(struct scan *scan, uint64_t number, uint64_t length, struct error *err)
{
    const struct message *message = innermost(scan);
    size_t left = message->end - scan->at;
    if (length <= left) {
        scan->at += (size_t)length;
        return true;
    }
    const ProtobufCFieldDescriptor *field = find_field(message->type, number);
    return FAIL(err, E_SYNTAX,
                "byte %zu: field %" PRIu64 " (%s) of a %s claims %" PRIu64 " bytes; %zu are left",
                scan->at, number, field == NULL ? "unknown" : field->name,
                message->type->short_name, length, left);
}

static bool enter(struct scan *scan, const ProtobufCMessageDescriptor *type, size_t end,
                  struct error *err)
{
    if (scan->depth == ONNX_WIRE_DEPTH_MAX)
        return FAIL(err, E_TOO_LARGE, "byte %zu: messages are nested deeper than %d levels",
                    scan->at, ONNX_WIRE_DEPTH_MAX);
    if (++scan->messages > ONNX_WIRE_MESSAGES_MAX)
        return FAIL(err, E_TOO_LARGE, "byte %zu: there are more than %d messages in the file",
                    scan->at, ONNX_WIRE_MESSAGES_MAX);
    scan->stack[scan->depth++] = (struct message){type, end};
    return true;
}

/* A length-prefixed field: enters a message, checks text, skips anything else. */
static bool scan_bytes(struct scan *scan, uint64_t number, struct error *err)
{
    uint64_t length;
    if (!next_varint(scan, "length", &length, err))
        return false;
    size_t start = scan->at;
    if (!skip(scan, number, length, err))
        return false;

    const ProtobufCMessageDescriptor *type = innermost(scan)->type;
    const ProtobufCFieldDescriptor *field = find_field(type, number);
    if (field == NULL)
        return true;
    if (field->type == PROTOBUF_C_TYPE_STRING &&
        !text_is_utf8((const char *)scan->bytes + start, (size_t)length))
        return FAIL(err, E_SYNTAX, "byte %zu: the field '%s' of a %s is not UTF-8 text", start,
                    field->name, type->short_name);
    if (field->type != PROTOBUF_C_TYPE_MESSAGE)
        return true;
    size_t end = scan->at;
    scan->at = start;
    return enter(scan, field->descriptor, end, err);
}

static bool scan_field(struct scan *scan, struct error *err)
{
    size_t start = scan->at;
    uint64_t key, value;
    if (!next_varint(scan, "key of a field", &key, err))
        return false;
    switch (key & 7) {
    case PROTOBUF_C_WIRE_TYPE_VARINT:
        return next_varint(scan, "number", &value, err);
    case PROTOBUF_C_WIRE_TYPE_64BIT:
        return skip(scan, key >> 3, sizeof(uint64_t), err);
    case PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED:
        return scan_bytes(scan, key >> 3, err);
    case PROTOBUF_C_WIRE_TYPE_32BIT:
        return skip(scan, key >> 3, sizeof(uint32_t), err);
    default:
        return FAIL(err, E_SYNTAX, "byte %zu: wire type %d in a %s; 0, 1, 2 and 5 are known", start,
                    (int)(key & 7), innermost(scan)->type->short_name);
    }
}

bool onnx_wire_check(const struct ProtobufCMessageDescriptor *type, const uint8_t *bytes,
                     size_t size, struct error *err)
{
    struct scan scan = {.bytes = bytes, .stack = {{type, size}}, .depth = 1, .messages = 1};
    while (scan.depth > 0) {
        if (scan.at == innermost(&scan)->end)
            scan.depth--;
        else if (!scan_field(&scan, err))
            return false;
    }
    return true;
}

bool onnx_wire_recognize(const uint8_t *bytes, size_t size)
{
    size_t at = 0;
    uint64_t key, version;
    if (!read_varint(bytes, size, &at, &key) || key >> 3 != IR_VERSION_FIELD ||
        (key & 7) != PROTOBUF_C_WIRE_TYPE_VARINT || !read_varint(bytes, size, &at, &version) ||
        version == 0 || version > IR_VERSION_PLAUSIBLE)
        return false;
    if (at == size)
        return true;
    return read_varint(bytes, size, &at, &key) &&
           find_field(&onnx__model_proto__descriptor, key >> 3) != NULL;
}
