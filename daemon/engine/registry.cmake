# The registry folder's reader and writer: values only, so it stands below the engine and knows
# neither store nor thread.
add_library(
  gatehouse_registry STATIC
  csv.cpp
  registry_charging.cpp
  registry_check.cpp
  registry_codecs.cpp
  registry_columns.cpp
  registry_export.cpp
  registry_fields.cpp
  registry_merge.cpp
  registry_parse.cpp
  tariff_file.cpp
  tariff_rules.cpp)
target_link_libraries(
  gatehouse_registry
  PUBLIC gatehouse_core
  PRIVATE gatehouse_toml)
