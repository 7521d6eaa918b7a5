# The documents that MQTT and HTTP share: values in, JSON text out. Below the engine, which is
# their third user.
add_library(gatehouse_documents STATIC account_replay.cpp replay_proof.cpp json_writer.cpp documents.cpp key_codec.cpp key_documents.cpp repair_summary.cpp
                                       period_checks.cpp period_documents.cpp period_readings.cpp pool_sheet.cpp row_documents.cpp
                                       sealed_text.cpp)
target_link_libraries(
  gatehouse_documents
  PUBLIC gatehouse_store gatehouse_core
  PRIVATE gatehouse_options Boost::json PkgConfig::libsodium ZLIB::ZLIB)
