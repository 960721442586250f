/* JPEG by libjpeg-turbo, fed as Pillow feeds it: from memory, by a source that suspends at the end of the bytes.
 *
 * libjpeg reports a fatal error through error_exit, which must not return. Here it jumps back to the call that was made from
 * Rust; no frame of Rust or C++ is in between. Each entry point sets the jump up anew. Warnings are counted by libjpeg and
 * nothing is printed. One handle belongs to one thread at a time; there is no global state.
 */
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jpeglib.h"

enum { DONE = 0, BROKEN = 1, CUT = 2 };

typedef struct {
    struct jpeg_decompress_struct decoder;
    struct jpeg_error_mgr errors;
    struct jpeg_source_mgr source;
    jmp_buf escape;
    char message[JMSG_LENGTH_MAX];
} flambeau_jpeg;

static void on_error(j_common_ptr decoder) {
    flambeau_jpeg *jpeg = decoder->client_data;
    decoder->err->format_message(decoder, jpeg->message);
    longjmp(jpeg->escape, 1);
}

static void on_message(j_common_ptr decoder) { (void)decoder; }

static void do_nothing(j_decompress_ptr decoder) { (void)decoder; }

/* No more bytes will come: suspend. */
static boolean suspend(j_decompress_ptr decoder) {
    (void)decoder;
    return FALSE;
}

static void skip(j_decompress_ptr decoder, long bytes) {
    struct jpeg_source_mgr *source = decoder->src;
    size_t skipped = bytes < 0 ? 0 : (size_t)bytes;
    if (skipped > source->bytes_in_buffer) skipped = source->bytes_in_buffer;
    source->next_input_byte += skipped;
    source->bytes_in_buffer -= skipped;
}

void flambeau_jpeg_close(flambeau_jpeg *jpeg) {
    if (jpeg == NULL) return;
    jpeg_destroy_decompress(&jpeg->decoder); /* frees memory, and cannot fail */
    free(jpeg);
}

static int create(flambeau_jpeg *jpeg) {
    if (setjmp(jpeg->escape)) return BROKEN;
    jpeg_create_decompress(&jpeg->decoder);
    return DONE;
}

/* The bytes must outlive the handle. NULL when there is no memory. */
flambeau_jpeg *flambeau_jpeg_open(const uint8_t *bytes, size_t length) {
    flambeau_jpeg *jpeg = calloc(1, sizeof *jpeg);
    if (jpeg == NULL) return NULL;
    jpeg->decoder.err = jpeg_std_error(&jpeg->errors);
    jpeg->errors.error_exit = on_error;
    jpeg->errors.output_message = on_message;
    jpeg->decoder.client_data = jpeg;
    if (create(jpeg) != DONE) {
        flambeau_jpeg_close(jpeg);
        return NULL;
    }
    jpeg->source.init_source = do_nothing;
    jpeg->source.term_source = do_nothing;
    jpeg->source.fill_input_buffer = suspend;
    jpeg->source.skip_input_data = skip;
    jpeg->source.resync_to_restart = jpeg_resync_to_restart;
    jpeg->source.next_input_byte = bytes;
    jpeg->source.bytes_in_buffer = length;
    jpeg->decoder.src = &jpeg->source;
    return jpeg;
}

/* Why the last call was BROKEN. */
const char *flambeau_jpeg_message(const flambeau_jpeg *jpeg) { return jpeg->message; }

/* Reads up to the first scan. `components` is 1 (grey), 3 (colour) or 4 (inks), or what the file says. */
int flambeau_jpeg_header(flambeau_jpeg *jpeg, uint32_t *width, uint32_t *height, uint32_t *components) {
    int found;
    if (setjmp(jpeg->escape)) return BROKEN;
    do {
        found = jpeg_read_header(&jpeg->decoder, FALSE);
    } while (found == JPEG_HEADER_TABLES_ONLY);
    if (found == JPEG_SUSPENDED) return CUT;
    *width = jpeg->decoder.image_width;
    *height = jpeg->decoder.image_height;
    *components = (uint32_t)jpeg->decoder.num_components;
    return DONE;
}

/* Decodes all rows from the top to `pixels`, `row_bytes` each: one byte a pixel for one component, else four: red, green, blue and
 * 255 for three, the inks as stored for four. */
int flambeau_jpeg_pixels(flambeau_jpeg *jpeg, uint8_t *pixels, size_t row_bytes) {
    struct jpeg_decompress_struct *decoder = &jpeg->decoder;
    if (setjmp(jpeg->escape)) return BROKEN;
    switch (decoder->num_components) {
    case 1: decoder->out_color_space = JCS_GRAYSCALE; break;
    case 3: decoder->out_color_space = JCS_EXT_RGBA; break;
    default: decoder->out_color_space = JCS_CMYK;
    }
    if (!jpeg_start_decompress(decoder)) return CUT;
    if ((size_t)decoder->output_width * (size_t)decoder->output_components != row_bytes) {
        snprintf(jpeg->message, sizeof jpeg->message, "it has %u x %d samples a row", decoder->output_width, decoder->output_components);
        return BROKEN;
    }
    while (decoder->output_scanline < decoder->output_height) {
        JSAMPROW row = pixels + (size_t)decoder->output_scanline * row_bytes;
        if (jpeg_read_scanlines(decoder, &row, 1) != 1) return CUT;
    }
    /* As for Pillow, the end marker may be missing, but damage before it is an error. */
    (void)jpeg_finish_decompress(decoder);
    return DONE;
}
