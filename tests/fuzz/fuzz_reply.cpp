// A reply as anybody on the line may send it, against the question that waits for one. Bytes 0 to 4
// are the question: address, table and framing, first register (two bytes), count; the rest is the
// frame, once as it is and once as RTU with the checksum that it would need. Whatever the bytes,
// the reply is words for exactly what was asked, a refusal, or says what it is instead.
#include <cstdlib>

#include "drivers/modbus/frame.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

using namespace gatehouse;
using namespace gatehouse::modbus;

Request question(const std::uint8_t* data) {
    Request request;
    request.address = data[0];
    const bool bits = (data[1] & 2U) != 0;
    request.span.table =
        bits ? ((data[1] & 4U) != 0 ? RegisterTable::coils : RegisterTable::discrete_inputs)
             : ((data[1] & 4U) != 0 ? RegisterTable::holding : RegisterTable::input);
    request.span.first = data[2] << 8 | data[3];
    request.span.count = 1 + data[4] % 125;
    return request;
}

void check(const Request& request, const Bytes& frame, FrameKind framing) {
    Reply reply;
    take_reply(request, frame, framing, reply);
    if (reply.response != frame) std::abort();
    const bool ok = reply.result == PollResult::ok;
    if (ok != (reply.words.size() == static_cast<std::size_t>(request.span.count))) std::abort();
    if (!ok && !reply.words.empty()) std::abort();
    if (ok == !reply.detail.empty()) std::abort();
    if (is_bits(request.span.table)) {
        for (const std::uint16_t word : reply.words) {
            if (word > 1) std::abort();
        }
    }
    const std::size_t head = framing == FrameKind::rtu ? 0 : 6;
    if (ok || reply.exception != 0) {
        if (frame[head] != static_cast<std::uint8_t>(request.address)) std::abort();
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 5) return 0;
    const Request request = question(data);
    Bytes frame(data + 5, data + size);
    check(request, frame, (data[1] & 1U) != 0 ? FrameKind::rtu : FrameKind::tcp);
    (void)holds_reply(frame, request);
    append_crc(frame);
    check(request, frame, FrameKind::rtu);
    Reply reply;
    take_reply(request, frame, FrameKind::rtu, reply);
    // What answers the question also settles it, wherever it stands in what was heard.
    if (reply.result != PollResult::ok) return 0;
    if (!holds_reply(frame, request)) std::abort();
    frame.insert(frame.begin(), {0, 0xFF});
    if (!holds_reply(frame, request)) std::abort();
    return 0;
}
