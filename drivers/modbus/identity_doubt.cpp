#include "drivers/modbus/identity_doubt.hpp"

namespace gatehouse::modbus {

bool IdentityDoubt::look(const Profile& profile, int channel, const RegisterImage& image) {
    bool doubt = false;
    const Decoded billing = profile.decode(profile.billing, channel, image);
    if (billing.result == PollResult::ok) {
        doubt = register_value_ && compare(billing.number, *register_value_) < 0;
        register_value_ = billing.number;
    }
    // Decodes only where it was read; a block beside it that the meter refuses takes nothing away.
    const Decoded serial = profile.decode(Measurement::serial, channel, image);
    if (serial.result == PollResult::ok) {
        doubt = doubt || serial.text != serial_;
        serial_ = serial.text;
    }
    return doubt;
}

}  // namespace gatehouse::modbus
