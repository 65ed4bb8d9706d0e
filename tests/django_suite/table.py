"""Which of Django's tests do not apply, and why; and what to make of the outcomes of all of them.

``python -m tests.django_suite.table`` prints the list for the documentation.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase


@dataclass(frozen=True)
class Reason:
    """Why tests do not apply. Each is a test's id, or a pattern of several.

    They are run nevertheless, and must fail; but not those with ``run=False``, which would pass whatever we do.
    """

    text: str
    tests: tuple[str, ...]
    run: bool = True


_STORAGE, _MEMORY = "file_storage.tests", "file_storage.test_inmemory_storage"
_NAMES = "file_storage.test_generate_filename.GenerateFilenameStorageTests"

DOES_NOT_APPLY = (
    Reason(
        "The test asks for a file by the name that it gave, or expects that name to come back. "
        "rokka decides: `<hash>/<slug>.<format>`.",
        (
            "model_fields.test_filefield.FileFieldTests.test_media_root_pathlib",
            "model_fields.test_filefield.FileFieldTests.test_upload_to_callable_sees_auto_now_add_*",
            f"{_STORAGE}.*.test_custom_get_available_name",
            f"{_STORAGE}.*.test_custom_storage_discarding_empty_content",
            f"{_STORAGE}.*.test_file_methods_pathlib_path",
            f"{_STORAGE}.*.test_file_save_with_path",
            f"{_STORAGE}.*.test_file_save_without_name",
            f"{_STORAGE}.*.test_file_url",
            f"{_STORAGE}.*.test_save_overwrite_behavior*",
            f"{_STORAGE}.FileFieldStorageTests.test_custom_valid_name_callable_upload_to",
            f"{_STORAGE}.FileFieldStorageTests.test_duplicate_filename",
            f"{_STORAGE}.FileFieldStorageTests.test_empty_upload_to",
            f"{_STORAGE}.FileFieldStorageTests.test_extended_length_storage",
            f"{_STORAGE}.FileFieldStorageTests.test_filefield_db_default",
            f"{_STORAGE}.FileFieldStorageTests.test_filefield_default",
            f"{_STORAGE}.FileFieldStorageTests.test_filefield_pickling",
            f"{_STORAGE}.FileFieldStorageTests.test_files",
            f"{_STORAGE}.FileFieldStorageTests.test_pathlib_upload_to",
            f"{_STORAGE}.FileFieldStorageTests.test_random_upload_to",
            f"{_STORAGE}.FileFieldStorageTests.test_stringio",
            f"{_NAMES}.test_filefield_awss3_storage",
            f"{_MEMORY}.MemoryStorageIOTests.test_file_saving",
            f"{_MEMORY}.MemoryStorageIOTests.test_file_size",
            f"{_MEMORY}.MemoryStorageTimesTests.test_file_created_time",
            f"{_MEMORY}.MemoryStorageTimesTests.test_file_modified_time",
            "files.tests.NoNameFileTestCase.test_noname_file_default_name",
        ),
    ),
    Reason(
        "Two files with the same content are expected to have two names. At rokka they are one image.",
        ("model_fields.test_imagefield.NoReadTests.*",),
    ),
    Reason(
        "The test expects a name without the characters that a disk may not like. A name may have any: rokka "
        "keeps it as the image's name, and the slug is made of it.",
        (
            f"{_NAMES}.test_filefield_dangerous_filename",
            f"{_NAMES}.test_filefield_generate_filename",
            f"{_NAMES}.test_filefield_generate_filename_with_upload_to",
        ),
    ),
    Reason(
        "The name is refused as it should be; the message has the whole name, and not a part of it.",
        (
            f"{_NAMES}.test_storage_dangerous_paths",
            f"{_NAMES}.test_storage_dangerous_paths_dir_name",
        ),
    ),
    Reason(
        "A name is no path, so none leads out of the storage: there is just no such file.",
        (f"{_STORAGE}.*.test_file_storage_prevents_directory_traversal",),
    ),
    Reason(
        "A column for fewer than 47 characters cannot hold a name, whatever is cut.",
        (
            f"{_STORAGE}.FileFieldStorageTests.test_file_truncation",
            f"{_STORAGE}.*.test_file_name_truncation*",
        ),
    ),
    Reason(
        "The test looks for the file on this machine's disk. It is at rokka, and has no path.",
        (
            "model_fields.test_imagefield.ImageFieldTests.test_delete_when_missing",
            "model_fields.test_imagefield.ImageFieldTests.test_instantiate_missing",
            f"{_STORAGE}.*.test_file_get_created_time",
            f"{_STORAGE}.*.test_file_get_modified_time",
            f"{_STORAGE}.*.test_file_path",
            f"{_STORAGE}.*.test_file_save_broken_symlink",
            f"{_STORAGE}.*.test_makedirs_race_handling",
            f"{_STORAGE}.*.test_remove_race_handling",
            f"{_STORAGE}.FileFieldStorageTests.test_file_object",
            f"{_STORAGE}.FileSaveRaceConditionTest.*",
            f"{_STORAGE}.FileStoragePathParsing.*",
            f"{_STORAGE}.FileStoragePermissions.*",
            "files.tests.FileTests.test_context_manager",
            "files.tests.FileTests.test_open_reopens_closed_file_and_returns_context_manager",
            "files.tests.FileTests.test_open_supports_full_signature",
        ),
    ),
    Reason(
        "The test is about folders. rokka has none.",
        (
            f"{_STORAGE}.*.test_delete_deletes_directories",
            f"{_STORAGE}.*.test_listdir",
            f"{_MEMORY}.MemoryStorageIOTests.test_delete",
            f"{_MEMORY}.MemoryStorageIOTests.test_exists",
            f"{_MEMORY}.MemoryStorageIOTests.test_file_node_cannot_have_children",
            f"{_MEMORY}.MemoryStorageIOTests.test_list_relative_path",
            f"{_MEMORY}.MemoryStorageIOTests.test_listdir",
            f"{_MEMORY}.MemoryStorageTimesTests.test_directory_times_*",
        ),
    ),
    Reason(
        "The test writes to a file that is there. Images never change: save a new one.",
        (
            f"{_STORAGE}.*.test_file_access_options",
            f"{_STORAGE}.*.test_file_storage_preserves_filename_case",
            f"{_STORAGE}.FileFieldStorageTests.test_filefield_write",
            f"{_MEMORY}.MemoryStorageIOTests.test_convert_str_to_bytes_and_back",
            f"{_MEMORY}.MemoryStorageIOTests.test_open_dir_as_file",
            f"{_MEMORY}.MemoryStorageIOTests.test_write_string",
            "files.tests.FileTests.test_io_wrapper",
            "files.tests.FileTests.test_writable",
        ),
    ),
    Reason(
        "The test expects text from a file. Pictures are bytes.",
        ("files.tests.FileTests.test_file_iteration_with_text",),
    ),
    Reason(
        "The test expects that a file is opened to learn the picture's dimensions. Ours never is, which is the "
        "point: they come from the answer to the upload.",
        ("model_fields.test_imagefield.*.test_dimensions",),
    ),
    Reason(
        "A temporary file is expected to be gone after saving, for it was moved. Ours is uploaded, and goes when "
        "it is closed.",
        (
            "model_fields.test_filefield.FileFieldTests.test_move_temporary_file",
            f"{_MEMORY}.MemoryStorageIOTests.test_removing_temporary_file_after_save",
        ),
    ),
    Reason(
        "The test expects that a file is read by its `chunks`. An upload reads by `read`, at the pace of the network.",
        (f"{_STORAGE}.*.test_file_chunks_error",),
    ),
    Reason(
        "rokka does not say when an image was last read.",
        (
            f"{_STORAGE}.*.test_file_get_accessed_time",
            f"{_STORAGE}.*.test_file_get_accessed_time_timezone",
            f"{_MEMORY}.MemoryStorageTimesTests.test_file_accessed_time",
        ),
    ),
    Reason(
        "The test is about settings and arguments of Django's storages, such as `MEDIA_ROOT`, `base_url` and "
        "permissions.",
        (
            f"{_STORAGE}.*.test_base_url",
            f"{_STORAGE}.*.test_empty_location",
            f"{_STORAGE}.*.test_setting_changed",
            f"{_STORAGE}.FileSystemStorageTests.test_lazy_base_url_init",
            f"{_STORAGE}.OverwritingStorageOSOpenFlagsWarningTests.*",
            f"{_MEMORY}.InMemoryStorageTests.test_setting_changed",
            f"{_MEMORY}.MemoryStorageIOTests.test_url",
            f"{_MEMORY}.MemoryStorageIOTests.test_url_with_none_filename",
        ),
    ),
    Reason(
        "The test expects the name of Django's class.",
        (
            f"{_STORAGE}.FieldCallableFileStorageTests.test_callable_base_class_error_raises",
            f"{_STORAGE}.FileSystemStorageTests.test_deconstruction",
            f"{_MEMORY}.InMemoryStorageTests.test_deconstruction",
        ),
    ),
    Reason(
        "A field without `storage` is expected to use the default one. Ours has a `RokkaStorage` of its alias.",
        (
            f"{_STORAGE}.FieldCallableFileStorageTests.test_file_field_storage_none_uses_default_storage",
        ),
    ),
    Reason(
        "The test expects that no storage behind a lazy object was asked for yet. Before an image is deleted, each "
        "field's storage is asked whose files it keeps; so it depends on what ran before, and is not run.",
        (f"{_STORAGE}.StorageLazyObjectTests.*",),
        run=False,
    ),
    Reason(
        "The test has to do with neither a field nor a storage nor a stored file. It is not run.",
        (
            f"{_STORAGE}.StorageHandlerTests.*",
            "files.tests.ContentFileTestCase.*",
            "files.tests.DimensionClosingBug.*",
            "files.tests.FileMoveSafeTests.*",
            "files.tests.FileTests.test_exclusive_lock",
            "files.tests.FileTests.test_file_mode",
            "files.tests.FileTests.test_namedtemporaryfile_closes",
            "files.tests.FileTests.test_shared_lock",
            "files.tests.FileTests.test_unicode_uploadedfile_name",
            "files.tests.GetImageDimensionsTests.*",
            "files.tests.InMemoryUploadedFileTests.*",
            "files.tests.InconsistentGetImageDimensionsBug.*",
            "files.tests.TemporaryUploadedFileTests.*",
        ),
        run=False,
    ),
)
#: What only some versions of Django have.
NOT_ALWAYS_THERE = {
    "model_fields.test_filefield.FileFieldTests.test_upload_to_callable_sees_auto_now_add_*",
    f"{_STORAGE}.OverwritingStorageOSOpenFlagsWarningTests.*",
    f"{_STORAGE}.StorageLazyObjectTests.*",
}


def reason(test: str) -> Reason | None:
    """Why a test does not apply; ``None`` for one that does."""
    for found in DOES_NOT_APPLY:
        if any(fnmatchcase(test, pattern) for pattern in found.tests):
            return found
    return None


def is_run(test: str) -> bool:
    """Whether there is anything to learn from a test."""
    found = reason(test)
    return found is None or found.run


def problems(outcomes: Mapping[str, str | None]) -> Iterator[str]:
    """What is wrong, by the outcomes that `runner` prints: with us, or with the table."""
    for test, outcome in outcomes.items():
        if outcome is None or outcome.startswith("skipped: "):
            continue
        why = reason(test)
        if outcome and why is None:
            yield f"{test} fails:\n{outcome}"
        elif not outcome and why is not None:
            yield f"{test} passes, but is in the table: {why.text}"
    for pattern in {pattern for why in DOES_NOT_APPLY for pattern in why.tests} - NOT_ALWAYS_THERE:
        if not any(fnmatchcase(test, pattern) for test in outcomes):
            yield f"{pattern} is in the table, but there is no such test"


def as_markdown() -> str:
    """The table as the documentation has it."""
    groups = (
        "\n".join([why.text, "", *(f"* `{test}`" for test in why.tests)]) for why in DOES_NOT_APPLY
    )
    return "\n\n".join(groups)


if __name__ == "__main__":
    sys.stdout.write(as_markdown() + "\n")
