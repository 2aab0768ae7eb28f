/* sparp/view.h - which records are written, and what of them: --only, --fields, --output-format.
   A record is made whole and then taken apart, so that no field has two definitions. Pure.
   Uses text, values, json, options. */

static bool view_wants(const config *c, bool success, int status) {
    switch (c->only) {
    case ONLY_FAILED:   return !success;
    case ONLY_SUCCESS:  return success;
    case ONLY_STATUSES: return status >= 0 && status < STATUS_END && c->only_statuses.has[status];
    default:            return true;
    }
}

/* As a cell: a string as it reads, null as nothing, all else as it was written. */
static void put_cell(text *t, slice raw, bool csv) {
    text value = { NULL, 0, 0, false };
    slice inner = { raw.at + 1, raw.size - 2 };
    if (raw.size >= 2 && raw.at[0] == '"')
        (void)put_json_decoded(&value, inner);
    else if (raw.size > 0 && !slice_is(raw, "null"))
        put_slice(&value, raw);
    slice s = { value.at, value.size };
    bool quotes = csv && find_any(s, ",\"\r\n") < s.size;
    if (quotes)
        put_char(t, '"');
    for (size_t i = 0; i < s.size; i++) {
        const char *known = s.at[i] == '\0' ? NULL : strchr("\t\n\r\\", s.at[i]);
        if (quotes && s.at[i] == '"')
            put_char(t, '"');
        if (!csv && known != NULL)
            put_char(t, '\\');
        put_char(t, csv || known == NULL ? s.at[i] : "tnr\\"[strchr("\t\n\r\\", s.at[i])
                                                              - "\t\n\r\\"]);
    }
    if (quotes)
        put_char(t, '"');
    if (value.failed)
        t->failed = true;
    text_free(&value);
}

static const char default_fields[] =
    "index,id,outcome,status,attempts,url,ms.total,ms.all,bytes.in,error.kind,error.message";

static slice view_fields(const config *c) {
    return slice_of(c->fields != NULL ? c->fields : default_fields);
}

/* The first line of CSV and TSV. */
static void put_view_names(text *t, const config *c) {
    slice rest = view_fields(c), field;
    bool csv = c->output_format == OUTPUT_CSV;
    for (bool first = true; slice_split(&rest, ',', &field); first = false) {
        if (!first)
            put_char(t, csv ? ',' : '\t');
        put_slice(t, trimmed(field));
    }
    put_char(t, '\n');
}

static void put_cells_of(text *t, const config *c, slice record) {
    slice rest = view_fields(c), field;
    bool csv = c->output_format == OUTPUT_CSV;
    for (bool first = true; slice_split(&rest, ',', &field); first = false) {
        slice value = { NULL, 0 };
        if (!first)
            put_char(t, csv ? ',' : '\t');
        if (json_find(record, trimmed(field), &value))
            put_cell(t, value, csv);
    }
    put_char(t, '\n');
}

/* Fields that are not there are left out. */
static void put_chosen(text *t, const config *c, slice record) {
    slice rest = view_fields(c), field, value;
    const char *before = "{";
    while (slice_split(&rest, ',', &field)) {
        if (!json_find(record, trimmed(field), &value))
            continue;
        put_text(t, before);
        put_string(t, trimmed(field), false);
        put_char(t, ':');
        put_slice(t, value);
        before = ",";
    }
    put_text(t, before[0] == '{' ? "{}\n" : "}\n");
}

/* As the Batch API of OpenAI gives its results: by custom_id, body as JSON. */
static void put_batch_line(text *t, slice record) {
    slice id = slice_of("null"), index = id, status = id, body = id, kind = id, message = id;
    (void)json_find(record, slice_of("id"), &id);
    (void)json_find(record, slice_of("index"), &index);
    (void)json_find(record, slice_of("status"), &status);
    if (!json_find(record, slice_of("json"), &body))
        (void)json_find(record, slice_of("body"), &body);
    PUT(t, "{\"id\":\"sparp-");
    put_slice(t, index);
    PUT(t, "\",\"custom_id\":");
    put_slice(t, id);
    if (slice_is(status, "null")) {
        PUT(t, ",\"response\":null,\"error\":{\"code\":");
        (void)json_find(record, slice_of("error.kind"), &kind);
        (void)json_find(record, slice_of("error.message"), &message);
        put_slice(t, kind);
        PUT(t, ",\"message\":");
        put_slice(t, message);
        PUT(t, "}}\n");
        return;
    }
    PUT(t, ",\"response\":{\"status_code\":");
    put_slice(t, status);
    PUT(t, ",\"request_id\":\"sparp-");
    put_slice(t, index);
    PUT(t, "\",\"body\":");
    put_slice(t, body);
    PUT(t, "},\"error\":null}\n");
}

static void put_view(text *t, const config *c, slice record) {
    if (c->output_format == OUTPUT_OPENAI)
        put_batch_line(t, record);
    else if (c->output_format != OUTPUT_JSONL)
        put_cells_of(t, c, record);
    else if (c->fields != NULL)
        put_chosen(t, c, record);
    else
        put_slice(t, record);
}
