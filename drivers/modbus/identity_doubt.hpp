// Whether a poll makes one doubt which meter answered, so that the next one is to read the serial
// number as well. Values only; part of a bus worker's memory of one meter.
#pragma once

#include <optional>
#include <string>

#include "drivers/modbus/profile.hpp"

namespace gatehouse::modbus {

class IdentityDoubt {
  public:
    // A serial number that is not the one of last time is read once more: twice alike it is
    // believed. A register that fell may be another meter's. What was not read raises no doubt.
    [[nodiscard]] bool look(const Profile& profile, int channel, const RegisterImage& image);

  private:
    std::optional<Rational> register_value_;  // as it was read last
    std::string serial_;                      // likewise
};

}  // namespace gatehouse::modbus
